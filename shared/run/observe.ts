/**
 * The second listener of a service: `/healthz` (the process runs), `/readyz` (it can do its work), `/metrics`, and the
 * status pages.
 * Loopback by default: what it tells is for the operator.
 */
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { ListenAddress } from './listen.js';
import type { Metrics } from './metrics.js';

export interface ObserveOptions {
  readonly listen: ListenAddress;
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
  const { host, port } = options.listen;
  const server = await new Promise<ReturnType<typeof serve>>((resolve, reject) => {
    const starting = serve({ fetch: app.fetch, hostname: host, port }, () => resolve(starting));
    starting.once('error', reject);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ('closeAllConnections' in server) server.closeAllConnections();
      }),
  };
}
