/** What operators see of the SMP source: sums only, no server, no queue. */
import type { MetricHandles, MetricTable } from '../../../../shared/run/metrics.js';

export const smpMetrics = {
  smp_queues: { kind: 'gauge', help: 'Queues followed.' },
  smp_servers: { kind: 'gauge', help: 'Messaging servers with followed queues.' },
  smp_connections: { kind: 'gauge', help: 'Connections to messaging servers that are up.' },
  smp_early_signals: {
    kind: 'gauge',
    help: 'Signals that overtook the answer to the NSUB of their queue, kept until it comes; 10,000 at most.',
  },
  smp_refused_total: {
    kind: 'counter',
    help: 'Queues not followed: forbidden or unusable address, or no room.',
    labels: { reason: ['prohibited', 'full'] },
  },
  smp_connects_total: {
    kind: 'counter',
    help: 'Attempts to connect, by how they ended.',
    labels: {
      outcome: ['ok', 'unreachable', 'offline', 'forbidden', 'identity', 'proxy', 'handshake', 'timeout'],
    },
  },
  smp_disconnects_total: {
    kind: 'counter',
    help: 'Connections lost, by cause: closed by the peer or the network, silent, not understandable, to go on as an ordinary client, or because a canary heard nothing.',
    labels: { cause: ['peer', 'silent', 'protocol', 'service', 'canary'] },
  },
  smp_given_up_total: { kind: 'counter', help: 'Servers given up that never completed a handshake.' },
  smp_answers_total: {
    kind: 'counter',
    help: 'Answers to NSUB. A time-out counts as temporary, what comes after it as late.',
    labels: { outcome: ['subscribed', 'temporary', 'auth', 'service', 'error', 'late'] },
  },
  smp_signals_total: { kind: 'counter', help: 'Signals (NMSG) handed on.' },
  smp_dropped_signals_total: {
    kind: 'counter',
    help: 'Signals dropped: of no confirmed queue, or with oversized metadata.',
    labels: { reason: ['unknown', 'size'] },
  },
  smp_events_total: {
    kind: 'counter',
    help: 'Subscriptions ended by the server: taken by another subscriber, or deleted.',
    labels: { kind: ['end', 'deleted'] },
  },
  smp_associated_queues: {
    kind: 'gauge',
    help: 'Queues that their servers subscribe together with our service.',
  },
  smp_service_sessions_total: {
    kind: 'counter',
    help: 'Sessions of servers that wanted our service certificate, by what came of it.',
    labels: { outcome: ['accepted', 'refused'] },
  },
  smp_service_answers_total: {
    kind: 'counter',
    help: 'Answers to NSUBS: the server holds the same queues as we expect, fewer, more, or as many others.',
    labels: { outcome: ['same', 'fewer', 'more', 'different', 'failed'] },
  },
  smp_service_ended_total: { kind: 'counter', help: 'Times that another process subscribed as our service.' },
  smp_ignored_total: { kind: 'counter', help: 'Transmissions that were no answer, signal or event of ours.' },
} as const satisfies MetricTable;

export type SmpMetrics = MetricHandles<typeof smpMetrics>;
