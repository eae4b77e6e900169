/** Metrics of the registry. */
import type { MetricTable } from '../../../shared/run/metrics.js';

export const registryMetrics = {
  registry_devices: {
    kind: 'gauge',
    help: 'Registrations held, by whether their code ever came back.',
    labels: { proven: ['yes', 'no'] },
  },
  registry_subscriptions: { kind: 'gauge', help: 'Subscriptions held.' },
  registry_removed_total: {
    kind: 'counter',
    help: 'Registrations forgotten, by cause.',
    labels: { cause: ['asked', 'replaced', 'evicted', 'unverified', 'idle'] },
  },
  registry_refused_total: {
    kind: 'counter',
    help: 'Registrations and subscriptions refused, by cause.',
    labels: { cause: ['devices', 'unproven', 'taken', 'prohibited', 'servers', 'per-device', 'full'] },
  },
  registry_signals_dropped_total: {
    kind: 'counter',
    help: 'Signals of queues that belong to no registration.',
  },
  registry_rivals_total: {
    kind: 'counter',
    help: 'Subscriptions confirmed for a queue that another registration holds.',
  },
} as const satisfies MetricTable;
