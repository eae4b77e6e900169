/** What the NTF server counts. Labels are closed sets of our own words; no ids, no addresses. */
import type { MetricTable } from '../../../shared/run/metrics.js';

export const clientMetrics = {
  clients_connections: {
    kind: 'gauge',
    help: 'Open client connections of this listener, handshakes included.',
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
    labels: { cause: ['peer', 'idle', 'unreachable', 'internal', 'stop'] },
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
