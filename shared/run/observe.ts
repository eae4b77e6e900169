/**
 * The second listener of a service: `/healthz` (the process runs), `/readyz` (it can do its work), `/metrics`, and the
 * status pages. Answers GET and HEAD from memory; what else a request brings is not looked at.
 * Loopback by default: what it tells is for the operator.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { type ListenAddress, listenOn } from './listen.js';
import type { Metrics } from './metrics.js';

/** What a route answers. */
export interface Answer {
  /** 200 unless given. */
  readonly status?: number;
  /** Plain text unless given. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text: string;
}

/** By path; each is given the query. */
export type Routes = Readonly<Record<string, (query: URLSearchParams) => Answer>>;

export interface ObserveOptions {
  readonly listen: ListenAddress;
  /** A socket that listens already: descriptor. Instead of binding `listen`. */
  readonly fd?: number | undefined;
  readonly metrics: Metrics;
  /** Undefined when ready, else a short reason made of our own words. */
  readonly notReady: () => string | undefined;
  /** Brings gauges up to date before they are read. */
  readonly measure?: () => void;
  /** Routes of the status pages. */
  readonly pages?: Routes;
}

export interface ObserveListener {
  readonly port: number;
  /** The listening socket, to be inherited by a child. */
  readonly socket: Server;
  close(): Promise<void>;
}

const NOT_FOUND: Answer = { status: 404, text: 'not found\n' };
const FAILED: Answer = { status: 500, text: 'error\n' };

export async function startObserving(options: ObserveOptions): Promise<ObserveListener> {
  const routes = routesOf(options);
  const server = createServer((request, response) => send(request, response, answerOf(routes, request)));
  const { fd, listen } = options;
  await listenOn(server, fd === undefined ? listen : { fd });
  return {
    socket: server,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const routesOf = ({ notReady, measure, metrics, pages }: ObserveOptions): Routes => ({
  '/healthz': () => ({ text: 'ok\n' }),
  '/readyz': () => {
    const reason = notReady();
    return reason === undefined ? { text: 'ready\n' } : { status: 503, text: `${reason}\n` };
  },
  '/metrics': () => {
    measure?.();
    return { text: metrics.text() };
  },
  ...pages,
});

function answerOf(routes: Routes, { method, url = '' }: IncomingMessage): Answer {
  const [path = '', query] = url.split('?', 2);
  const isKnown = (method === 'GET' || method === 'HEAD') && Object.hasOwn(routes, path);
  try {
    return isKnown ? routes[path]!(new URLSearchParams(query)) : NOT_FOUND;
  } catch {
    return FAILED;
  }
}

/** To HEAD node sends no body. */
function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { status = 200, type = 'text/plain; charset=UTF-8', headers, text } = answer;
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
  request.resume();
}
