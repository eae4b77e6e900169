/** Metrics of the wake engine: the milestones of a signal's way, and what stopped it. */
import { HOP_BUCKETS, type MetricTable } from '../../../shared/run/metrics.js';
import { PUSH_KINDS as kind } from './policy.js';

export const wakeMetrics = {
  wake_signals_total: {
    kind: 'counter',
    help: 'Signals received, by what the mailbox did with them (lost: the phone is told to check instead).',
    labels: { result: ['new', 'replaced', 'lost'] },
  },
  wake_sealed_total: { kind: 'counter', help: 'Message pushes boxed for a phone.' },
  wake_seal_seconds: {
    kind: 'histogram',
    help: 'From the receipt of the oldest signal that a push is the first to tell to its sealing, waits included.',
    buckets: HOP_BUCKETS,
  },
  wake_unsendable_total: {
    kind: 'counter',
    help: 'Entries too long for a push; the phone is told to check.',
  },
  wake_sent_total: { kind: 'counter', help: 'Pushes handed to the gateway link.', labels: { kind } },
  wake_outcomes_total: {
    kind: 'counter',
    help: 'Outcomes of pushes.',
    labels: { kind, outcome: ['accepted', 'later', 'dead', 'refused', 'unavailable'] },
  },
  wake_outdated_total: {
    kind: 'counter',
    help: 'Outcomes of pushes to a token that has been replaced or removed since.',
  },
  wake_stopped_total: {
    kind: 'counter',
    help: 'Pushes that did not leave or changed nothing, by cause.',
    labels: { cause: ['gateway-away', 'no-token', 'exchange-failed', 'server-share'] },
  },
  wake_invalid_total: {
    kind: 'counter',
    help: 'Registrations that became INVALID, by reason.',
    labels: { reason: ['bad', 'topic', 'expired', 'unregistered', 'refused'] },
  },
  wake_proofs_total: {
    kind: 'counter',
    help: 'Registration codes returned by clients, by result.',
    labels: { result: ['proven', 'known', 'wrong', 'blocked', 'unreachable'] },
  },
  wake_farewells_total: {
    kind: 'counter',
    help: 'Capabilities of phones that left: revoked at the gateway, given up after four minutes, dropped (too many).',
    labels: { result: ['told', 'given-up', 'dropped'] },
  },
  wake_mailbox_entries: { kind: 'gauge', help: 'Entries in all mailboxes.' },
  wake_waiting_devices: { kind: 'gauge', help: 'Devices waiting for their gateway.' },
} as const satisfies MetricTable;
