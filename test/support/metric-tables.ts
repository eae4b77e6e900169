/** All metrics of both services by their full names, and the metrics that an expression of Prometheus speaks of. */
import { GATEWAY_TABLES } from '../../services/gateway/status.js';
import { SUBSCRIBER_TABLES } from '../../services/subscriber/status.js';
import type { MetricSpec } from '../../shared/run/metrics.js';

const prefixed = (prefix: string, table: Readonly<Record<string, MetricSpec>>): [string, MetricSpec][] =>
  Object.entries(table).map(([name, spec]) => [prefix + name, spec]);

export const SERVICES = { gateway: GATEWAY_TABLES, subscriber: SUBSCRIBER_TABLES } as const;

export const METRICS: ReadonlyMap<string, MetricSpec> = new Map(
  Object.entries(SERVICES).flatMap(([service, table]) => prefixed(`porchlight_${service}_`, table)),
);

/** Labels that Prometheus itself adds. */
const SCRAPE_LABELS = ['job', 'instance', 'le'];
const SERIES = /\b(porchlight_[a-z_]+)(?:\{([^}]*)\})?/g;
const MATCHER = /([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g;
const GROUPING = /\b(?:by|without)\s*\(([^)]*)\)/g;

/** What in an expression is not in the tables; empty where all is right. */
export function unknownIn(expression: string): string[] {
  const wrong: string[] = [];
  const labels = new Set(SCRAPE_LABELS);
  for (const [, full, matchers = ''] of expression.matchAll(SERIES)) {
    const spec = METRICS.get(full!) ?? METRICS.get(full!.replace(/_(bucket|sum|count)$/, ''));
    if (spec === undefined || METRICS.has(full!) === (spec.kind === 'histogram')) {
      wrong.push(full!);
      continue;
    }
    for (const label of Object.keys(spec.labels ?? {})) labels.add(label);
    for (const [, label, , text] of matchers.matchAll(MATCHER)) {
      if (SCRAPE_LABELS.includes(label!)) continue;
      const values = spec.labels?.[label!];
      if (values === undefined) wrong.push(`${full}{${label}}`);
      else
        wrong.push(
          ...text!
            .split('|')
            .filter((v) => !values.includes(v))
            .map((v) => `${full}{${label}="${v}"}`),
        );
    }
  }
  for (const [, list] of expression.matchAll(GROUPING)) {
    wrong.push(
      ...list!
        .split(',')
        .map((l) => l.trim())
        .filter((label) => !labels.has(label)),
    );
  }
  return wrong;
}
