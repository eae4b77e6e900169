/** What operators see of the canaries: counts over all of them, no server. */
import type { MetricHandles, MetricTable } from '../../../shared/run/metrics.js';

export const probeMetrics = {
  canary_servers: {
    kind: 'gauge',
    help: 'Canaries by state: nothing known yet, signals come, none comes, the server takes no message.',
    labels: { state: ['starting', 'ok', 'silent', 'unreachable'] },
  },
  canary_messages_total: {
    kind: 'counter',
    help: 'Messages of canaries to themselves, by result: signal in time, none in time, queue not subscribed in time, queue lost, refused by the server, server not reached.',
    labels: { result: ['arrived', 'silent', 'unfollowed', 'lost', 'refused', 'unreachable'] },
  },
  canary_signal_seconds: {
    kind: 'histogram',
    help: "From sending a canary's message to its signal (NMSG)",
    buckets: [0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 30],
  },
  canary_queues_total: { kind: 'counter', help: 'Queues that canaries made.' },
  canary_reconnects_total: {
    kind: 'counter',
    help: 'Connections to messaging servers made anew because a canary heard nothing.',
  },
} as const satisfies MetricTable;

export type ProbeMetrics = MetricHandles<typeof probeMetrics>;
