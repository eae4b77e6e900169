/**
 * The socket side of the endpoints: HTTP/1.1 keep-alive over TLS, or plain behind a proxy. Counts connections by
 * address before the handshake, and closes what stalls.
 */
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { PROBLEM_TYPE, problemBody } from '../../../shared/relay/problem.js';
import { systemClock } from '../../../shared/run/clock.js';
import type { ListenAddress } from '../../../shared/run/listen.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { Addresses } from '../limits/addresses.js';
import type { gatewayMetrics } from '../metrics.js';

export interface ListenerDeadlines {
  readonly handshakeMs: number;
  readonly headersMs: number;
  /** A whole request of 1 MiB; after this a stalled one is closed. */
  readonly requestMs: number;
  readonly keepAliveMs: number;
  /** How often requests are held against their deadlines. */
  readonly lookEveryMs: number;
}

const DEADLINES: ListenerDeadlines = {
  handshakeMs: 10_000,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 120_000,
  lookEveryMs: 5_000,
};
const MAX_HEADER_SIZE = 8 * 1024;
/** Time for the last answers to leave when all frames are done. */
const LEAVE_MS = 500;

export interface ListenerOptions {
  readonly listen: ListenAddress;
  /** PEM texts; without them plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: Buffer } | undefined;
  readonly addresses: Addresses;
  /** The block that a connection counts in. */
  readonly blockOf: (remote: string | undefined) => string;
  readonly metrics: MetricHandles<typeof gatewayMetrics>;
  readonly fetch: Parameters<typeof getRequestListener>[0];
  readonly deadlines?: ListenerDeadlines;
}

export interface Listener {
  readonly port: number;
  /** Takes no new connections; requests under way go on. */
  stop(): void;
  /** Lets answers that are complete leave, then closes what is still open. */
  close(): Promise<void>;
}

export async function startListener(options: ListenerOptions): Promise<Listener> {
  const server = makeServer(options);
  const sockets = new Set<Socket>();
  const answering = new Answering(server);
  server.on('connection', (socket: Socket) => admit(options, socket, sockets));
  // Not TLS, or a handshake that stalled or failed: a check that failed.
  server.on('tlsClientError', (_, { remoteAddress }: Socket) => {
    if (remoteAddress !== undefined) options.addresses.failed(options.blockOf(remoteAddress));
  });
  const { host, port } = options.listen;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      server.close();
      server.closeIdleConnections();
    },
    close: async () => {
      await answering.over(LEAVE_MS);
      // Also those that are still shaking hands.
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}

/** The requests that are not wholly answered. */
class Answering {
  private count = 0;
  private whenOver: (() => void) | undefined;

  constructor(server: Server) {
    server.on('request', (_, response) => {
      this.count++;
      response.once('close', () => {
        this.count--;
        if (this.count === 0) this.whenOver?.();
      });
    });
  }

  /** Resolves when none is left, or after `ms` of real time: sockets know no other. */
  over(ms: number): Promise<void> {
    if (this.count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = systemClock.after(ms, resolve);
      this.whenOver = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function makeServer({ tls, fetch, deadlines = DEADLINES }: ListenerOptions): Server {
  const handle = getRequestListener(fetch, {
    overrideGlobalObjects: false,
    errorHandler: () =>
      new Response(problemBody('bad-request'), { status: 400, headers: { 'content-type': PROBLEM_TYPE } }),
  });
  const limits = {
    headersTimeout: deadlines.headersMs,
    requestTimeout: deadlines.requestMs,
    keepAliveTimeout: deadlines.keepAliveMs,
    connectionsCheckingInterval: deadlines.lookEveryMs,
    maxHeaderSize: MAX_HEADER_SIZE,
    noDelay: true,
  };
  if (tls === undefined) return createServer(limits, handle);
  const secure = { ...tls, minVersion: 'TLSv1.2', handshakeTimeout: deadlines.handshakeMs } as const;
  return createTlsServer({ ...limits, ...secure, ALPNProtocols: ['http/1.1'] }, handle);
}

function admit({ addresses, blockOf, metrics }: ListenerOptions, socket: Socket, open: Set<Socket>): void {
  const block = blockOf(socket.remoteAddress);
  if (!addresses.enter(block)) {
    metrics.connections_refused_total.inc();
    socket.destroy();
    return;
  }
  open.add(socket);
  socket.once('close', () => {
    open.delete(socket);
    addresses.leave(block);
  });
}
