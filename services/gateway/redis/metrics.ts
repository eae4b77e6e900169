/** Metrics of what gateways share; there only where Redis is configured. */
import type { MetricTable } from '../../../shared/run/metrics.js';

/** Why Redis is left alone for a while. */
export const REASONS = ['slow', 'connection', 'refused', 'error'] as const;
export type Reason = (typeof REASONS)[number];

/** What is asked of it: a nonce, yesterday's counts, the limits, revocations. */
export const STEPS = ['nonce', 'look', 'pass', 'revocations'] as const;
export type Step = (typeof STEPS)[number];

const SECONDS = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

export const redisMetrics = {
  shared_limits_state: {
    kind: 'gauge',
    help: '1 while limits are shared through Redis, 0 while this gateway counts its own share in memory.',
  },
  shared_limits_fallbacks_total: {
    kind: 'counter',
    help: 'Times that this gateway began to count alone, by what was wrong with Redis.',
    labels: { reason: REASONS },
  },
  shared_limits_frames_total: {
    kind: 'counter',
    help: "Frames by who judged them: `together` through Redis, `alone` from memory at this gateway's share.",
    labels: { judged: ['together', 'alone'] },
  },
  shared_limits_repeats_total: {
    kind: 'counter',
    help: 'Frames that another gateway had: `done`, `waited` for its answer, `gave-up` waiting.',
    labels: { result: ['done', 'waited', 'gave-up'] },
  },
  shared_limits_seconds: {
    kind: 'histogram',
    help: "Redis' answers, by what was asked.",
    labels: { step: STEPS },
    buckets: SECONDS,
  },
} as const satisfies MetricTable;
