/** What operators see of hand-overs. */
import type { MetricTable } from '../../../shared/run/metrics.js';

export const handOverMetrics = {
  handover_state: {
    kind: 'gauge',
    help: 'Where handing over to a successor stands: 0 serving, 1 offering, 2 copying, 3 mirrored, 4 draining, 5 gone.',
  },
  handover_total: {
    kind: 'counter',
    help: 'Hand-overs to a successor that were begun, by what came of them.',
    labels: { outcome: ['done', 'failed'] },
  },
  handover_forwarded_total: {
    kind: 'counter',
    help: 'What messaging servers said after the copy, handed on to the successor.',
    labels: { kind: ['status', 'signal', 'missed'] },
  },
  handover_taken_over: { kind: 'gauge', help: '1 in a process that took over from another one.' },
  handover_pause_seconds: {
    kind: 'gauge',
    help: 'How long clients and pushes waited in the hand-over by which this process took over.',
  },
} as const satisfies MetricTable;
