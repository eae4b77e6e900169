/**
 * The second listener of a service: `/healthz` (the process runs), `/readyz` (it can do its work), `/metrics`, and the
 * status pages.
 * Loopback by default: what it tells is for the operator.
 */
import type { AddressInfo, Server } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { type ListenAddress, listenOn } from './listen.js';
import type { Metrics } from './metrics.js';

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
  readonly pages?: Hono;
}

export interface ObserveListener {
  readonly port: number;
  /** The listening socket, to be inherited by a child. */
  readonly socket: Server;
  close(): Promise<void>;
}

export async function startObserving(options: ObserveOptions): Promise<ObserveListener> {
  const app = new Hono();
  app.get('/healthz', (c) => c.text('ok\n'));
  app.get('/readyz', (c) => {
    const reason = options.notReady();
    return reason === undefined ? c.text('ready\n') : c.text(`${reason}\n`, 503);
  });
  app.get('/metrics', async (c) => {
    options.measure?.();
    return c.text(await options.metrics.text());
  });
  if (options.pages !== undefined) app.route('/', options.pages);
  app.onError((_, c) => c.text('error\n', 500));
  const server = createAdaptorServer({ fetch: app.fetch });
  const { fd, listen } = options;
  await listenOn(server, fd === undefined ? listen : { fd });
  return {
    socket: server,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ('closeAllConnections' in server) server.closeAllConnections();
      }),
  };
}
