/**
 * The status pages of a service, for its second listener: `/status` and `/status.json` for the operator, `/public` and
 * `/public.json` for anybody. They answer from memory, fetch nothing and set nothing.
 */
import { createHash } from 'node:crypto';
import { type Context, Hono } from 'hono';
import type { Clock } from '../clock.js';
import type { Metrics, MetricTable } from '../metrics.js';
import { residentBytes } from '../process-metrics.js';
import type { StatusDescription } from './description.js';
import { History } from './history.js';
import { statusPage } from './html.js';
import type { Status } from './schema.js';
import { STYLE } from './style.js';
import { operatorStatus, type ProcessFacts, publicStatus } from './view.js';

export interface StatusOptions<T extends MetricTable> {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly description: StatusDescription<T>;
  readonly version: string;
  readonly crypto: 'native' | 'wasm';
  readonly notReady: () => string | undefined;
  /** Brings gauges up to date before they are read. */
  readonly measure: () => void;
}

export interface StatusPages {
  readonly routes: Hono;
  close(): void;
}

const REFRESH_SECONDS = 30;

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cache-control': 'no-store',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Starts keeping the history. */
export function openStatusPages<T extends MetricTable>(options: StatusOptions<T>): StatusPages {
  const { clock, metrics, measure } = options;
  const read = () => {
    measure();
    return metrics.samples();
  };
  const history = new History({ clock, read });
  const routes = new Hono();
  const serve = (path: string, statusOf: typeof operatorStatus): void => {
    const status = async (): Promise<Status> =>
      statusOf(options.description as StatusDescription, factsOf(options), await history.past());
    routes.get(path, async (c) => c.html(statusPage(await status(), refreshOf(c)), 200, { ...HEADERS }));
    routes.get(`${path}.json`, async (c) => c.json(await status(), 200, { ...HEADERS }));
  };
  serve('/status', operatorStatus);
  serve('/public', publicStatus);
  return { routes, close: () => history.close() };
}

/** Who wants the page to load itself again asks for it: it would take the place from readers who are slow. */
const refreshOf = (c: Context) =>
  c.req.query('refresh') === undefined ? {} : { refreshSeconds: REFRESH_SECONDS };

function factsOf<T extends MetricTable>({ version, crypto, notReady }: StatusOptions<T>): ProcessFacts {
  return { version, crypto, residentBytes: residentBytes(), notReady: notReady() };
}
