/** Metrics of the APNs engine. Labels are closed sets; none of them names a device, a subscriber or a team. */
import { ENVIRONMENTS } from '../../../shared/relay/identity.js';
import type { MetricTable } from '../../../shared/run/metrics.js';
import { REASON_WORDS } from './reasons.js';

export const RESEND_CAUSES = ['refused', 'lost', 'timeout', 'server', 'token', 'connection'] as const;
export type ResendCause = (typeof RESEND_CAUSES)[number];

export const apnsMetrics = {
  apns_pushes_total: {
    kind: 'counter',
    help: 'Pushes by what became of them.',
    labels: {
      environment: ENVIRONMENTS,
      result: ['accepted', 'dead', 'later', 'unavailable', 'rejected'],
    },
  },
  apns_answers_total: {
    kind: 'counter',
    help: 'Answers of Apple other than 200, by reason.',
    labels: { reason: REASON_WORDS },
  },
  apns_resends_total: {
    kind: 'counter',
    help: 'Requests sent again, by cause; refused ones were certainly not processed.',
    labels: { cause: RESEND_CAUSES },
  },
  apns_push_seconds: {
    kind: 'histogram',
    help: 'Time of a push from the queue to its result.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25],
  },
  apns_connects_total: {
    kind: 'counter',
    help: 'Connections that opened, failed to open, were told to go away, or were lost.',
    labels: { event: ['opened', 'failed', 'goaway', 'lost'] },
  },
  apns_connections: { kind: 'gauge', help: 'Connections open and taking pushes.' },
  apns_waiting: { kind: 'gauge', help: 'Pushes waiting for a stream.' },
  apns_in_flight: { kind: 'gauge', help: 'Pushes written and not yet answered.' },
  apns_provider_tokens_total: { kind: 'counter', help: 'Provider tokens signed.' },
  apns_breakers_open: { kind: 'gauge', help: 'Breakers open because of configuration errors.' },
  apns_delayed_devices: { kind: 'gauge', help: 'Devices that Apple said 429 about and that wait.' },
} as const satisfies MetricTable;
