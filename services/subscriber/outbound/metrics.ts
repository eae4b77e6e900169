/** What the link to a gateway counts. Labels are closed sets of our own words; no ids, no addresses. */
import { HOP_BUCKETS, type MetricHandles, type MetricTable } from '../../../shared/run/metrics.js';

export const linkMetrics = {
  link_frames_total: {
    kind: 'counter',
    help: 'Frames answered, by outcome; the link itself answers later (its queue is full) and unavailable',
    labels: { outcome: ['accepted', 'later', 'dead', 'refused', 'unavailable'] },
  },
  link_answer_seconds: {
    kind: 'histogram',
    help: 'From the hand-over of a sealed frame to its outcome, repeats included',
    buckets: HOP_BUCKETS,
  },
  link_repeated_frames_total: {
    kind: 'counter',
    help: 'Frames sent again with the same id because no answer came',
  },
  link_requests_total: {
    kind: 'counter',
    help: 'Push requests, by how they ended',
    labels: { result: ['done', 'no-answer', 'later', 'unavailable', 'refused'] },
  },
  link_batch_frames: {
    kind: 'histogram',
    help: 'Frames in one push request',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  },
  link_waiting_frames: { kind: 'gauge', help: 'Frames that wait to be sent' },
  link_open_requests: { kind: 'gauge', help: 'Push requests not yet answered whole' },
  link_available: {
    kind: 'gauge',
    help: '1 while the gateway takes pushes, and where there are several, all of them',
  },
  link_probes_total: {
    kind: 'counter',
    help: 'Attempts to find an unavailable gateway again',
    labels: { result: ['ok', 'failed'] },
  },
  link_calls_total: {
    kind: 'counter',
    help: 'Capability calls, by endpoint and result',
    labels: { endpoint: ['exchange', 'prove', 'renew', 'revoke'], result: ['ok', 'refused', 'no-answer'] },
  },
  link_statements_total: {
    kind: 'counter',
    help: 'Statements fetched from the gateway, by what became of them',
    labels: {
      result: [
        'accepted',
        'unreachable',
        'malformed',
        'wrong-fingerprint',
        'bad-signature',
        'version',
        'not-yet-valid',
        'expired',
        'older-than-seen',
        'wrong-tls-key',
      ],
    },
  },
  link_clock_offset_seconds: {
    kind: 'gauge',
    help: "Gateway's clock minus ours, as far as the gateway ever complained about it; of several the farthest off",
  },
} as const satisfies MetricTable;

type LinkMetrics = MetricHandles<typeof linkMetrics>;
type Gauge = LinkMetrics['link_available'];
type Join = (values: readonly number[]) => number;

const sum: Join = (values) => values.reduce((total, value) => total + value);
const least: Join = (values) => Math.min(...values);
const farthest: Join = (values) =>
  values.reduce((far, value) => (Math.abs(value) > Math.abs(far) ? value : far));

/** Handles for one link after the other: gauges show what holds for all links together. */
export function jointMetrics(metrics: LinkMetrics): () => LinkMetrics {
  const waiting = jointGauge(metrics.link_waiting_frames, sum);
  const open = jointGauge(metrics.link_open_requests, sum);
  const available = jointGauge(metrics.link_available, least);
  const offset = jointGauge(metrics.link_clock_offset_seconds, farthest);
  return () => ({
    ...metrics,
    link_waiting_frames: waiting(),
    link_open_requests: open(),
    link_available: available(),
    link_clock_offset_seconds: offset(),
  });
}

/** Each call adds a value of 0, and gives what sets it. */
function jointGauge(gauge: Gauge, join: Join): () => Gauge {
  const values: number[] = [];
  return () => {
    const index = values.push(0) - 1;
    return {
      set(value) {
        values[index] = value;
        gauge.set(join(values));
      },
    };
  };
}
