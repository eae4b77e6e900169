/** Metrics of the revoked set. Labels are closed sets; none names a device, a subscriber or an owner. */
import type { MetricTable } from '../../../shared/run/metrics.js';
import { ENTRY_POOLS } from './revocation-store.js';

/** Who ended something: Apple's answer, a newer proof elsewhere, the subscriber, the phone's owner key. */
export const REVOCATION_CAUSES = ['apple', 'superseded', 'subscriber', 'owner'] as const;
export type RevocationCause = (typeof REVOCATION_CAUSES)[number];

export const revocationMetrics = {
  revocations: {
    kind: 'gauge',
    help: 'Entries of the revoked set in memory; those of owner keys are bounded apart.',
    labels: { pool: ENTRY_POOLS },
  },
  revocations_total: {
    kind: 'counter',
    help: 'Entries that this process added to the revoked set, by cause.',
    labels: { cause: REVOCATION_CAUSES },
  },
  revocations_dropped_total: {
    kind: 'counter',
    help: 'Old entries of the revoked set that gave way to new ones: it is full.',
    labels: { pool: ENTRY_POOLS },
  },
  revocations_unsaved_total: {
    kind: 'counter',
    help: 'Entries that could not be saved; a subscriber or an owner that asked for one was told so.',
  },
  revocations_readable: {
    kind: 'gauge',
    help: "0 while other replicas' entries can't be read: renewals stop, pushes go on.",
  },
} as const satisfies MetricTable;
