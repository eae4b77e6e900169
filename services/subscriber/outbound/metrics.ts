/** What the link to a gateway counts. Labels are closed sets of our own words; no ids, no addresses. */
import { HOP_BUCKETS, type MetricTable } from '../../../shared/run/metrics.js';

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
  link_available: { kind: 'gauge', help: '1 while the gateway takes pushes' },
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
    help: "Gateway's clock minus ours, as far as the gateway ever complained about it",
  },
} as const satisfies MetricTable;
