/** What the NTF server counts. Labels are closed sets of our own words; no ids, no addresses. */
import type { MetricTable } from '../../../shared/run/metrics.js';

export const clientMetrics = {
  clients_connections_total: { kind: 'counter', help: 'Client connections accepted, before any handshake.' },
  clients_connections_ended_total: {
    kind: 'counter',
    help: 'Accepted connections that have ended; the difference is open now, at all listeners.',
  },
  clients_refused_total: {
    kind: 'counter',
    help: 'Connections closed before or in the handshake, by cause.',
    labels: { cause: ['full', 'address', 'tls', 'not-ready', 'handshake', 'deadline'] },
  },
  clients_sessions_total: {
    kind: 'counter',
    help: 'Handshakes completed, by NTF version.',
    labels: { version: ['1', '2', '3'] },
  },
  clients_closed_total: {
    kind: 'counter',
    help: 'Sessions ended, by cause.',
    labels: { cause: ['peer', 'idle', 'unreachable', 'internal'] },
  },
  clients_commands_total: {
    kind: 'counter',
    help: 'Commands whose authorisation was right, by command.',
    labels: { command: ['TNEW', 'TVFY', 'TCHK', 'TRPL', 'TDEL', 'TCRN', 'SNEW', 'SCHK', 'SDEL', 'PING'] },
  },
  clients_errors_total: {
    kind: 'counter',
    help: 'Errors answered, by error.',
    labels: { error: ['BLOCK', 'SESSION', 'CMD', 'AUTH', 'QUOTA'] },
  },
} as const satisfies MetricTable;
