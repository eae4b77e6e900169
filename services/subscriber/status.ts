/** The subscriber's status page: which of its metrics make which hop and panel. */
import { processMetrics } from '../../shared/run/process-metrics.js';
import type { Judge, StatusDescription } from '../../shared/run/status/description.js';
import { clientMetrics } from './clients/metrics.js';
import { handOverMetrics } from './handover/metrics.js';
import { linkMetrics } from './outbound/metrics.js';
import { probeMetrics } from './probe/metrics.js';
import { registryMetrics } from './registry/metrics.js';
import { smpMetrics } from './sources/smp/metrics.js';
import { wakeMetrics } from './wake/metrics.js';

/** Every metric of a subscriber. */
export const SUBSCRIBER_TABLES = {
  ...smpMetrics,
  ...probeMetrics,
  ...handOverMetrics,
  ...clientMetrics,
  ...registryMetrics,
  ...wakeMetrics,
  ...linkMetrics,
  ...processMetrics,
} as const;

type Tables = typeof SUBSCRIBER_TABLES;

const messagingServers: Judge<Tables> = ({ now }) => {
  const servers = now({ metric: 'smp_servers' });
  const connected = now({ metric: 'smp_connections' });
  const silent = now({ metric: 'canary_servers', where: { state: ['silent', 'unreachable'] } });
  if (silent > 0) return { state: 'warn', says: 'A canary hears nothing.' };
  if (servers === 0) return { state: 'idle', says: 'No phone follows a queue.' };
  if (connected === 0) return { state: 'down', says: 'None is connected.' };
  return connected < servers
    ? { state: 'warn', says: 'Some are not connected.' }
    : { state: 'ok', says: 'All that phones use are connected.' };
};

const itself: Judge<Tables> = ({ notReady }) =>
  notReady === undefined
    ? { state: 'ok', says: 'Phones can register.' }
    : { state: 'down', says: 'Phones can’t register now.' };

const gateway: Judge<Tables> = ({ now, recent }) => {
  if (now({ metric: 'link_available' }) === 0) return { state: 'down', says: 'Takes no pushes.' };
  const unanswered = recent({ metric: 'link_requests_total', where: { result: 'no-answer' } });
  return unanswered > 0
    ? { state: 'warn', says: 'Some requests got no answer.' }
    : { state: 'ok', says: 'Takes pushes.' };
};

const apple: Judge<Tables> = ({ recent }) => {
  if (recent(outcome('unavailable')) > 0) return { state: 'warn', says: 'Some pushes found no way.' };
  return recent(outcome('accepted')) > 0
    ? { state: 'ok', says: 'Accepts pushes, says the gateway.' }
    : { state: 'idle', says: 'Too few pushes to tell.' };
};

const waiting: Judge<Tables> = ({ crowd }) =>
  crowd({ metric: 'wake_waiting_devices' })
    ? { state: 'warn', says: 'wait for their gateway' }
    : { state: 'ok', says: 'few or none' };

const canaries: Judge<Tables> = ({ now }) => {
  const of = (state: Tables['canary_servers']['labels']['state'][number]): number =>
    now({ metric: 'canary_servers', where: { state } });
  if (now({ metric: 'canary_servers' }) === 0) return { state: 'idle', says: 'none configured' };
  if (of('silent') + of('unreachable') > 0) return { state: 'warn', says: 'signals are missing' };
  return of('ok') > 0 ? { state: 'ok', says: 'signals come' } : { state: 'idle', says: 'starting' };
};

export const subscriberStatus: StatusDescription<Tables> = {
  service: 'subscriber',
  tables: SUBSCRIBER_TABLES,
  hops: [
    { name: 'Messaging servers', judge: messagingServers },
    { name: 'Subscriber', here: true, judge: itself },
    { name: 'Gateway', judge: gateway },
    { name: 'Apple', judge: apple },
  ],
  panels: [
    {
      title: 'Wake-ups',
      says: 'From the signal of a messaging server to a push that Apple took.',
      rows: [
        { kind: 'rate', label: 'Signals received', of: { metric: 'smp_signals_total' }, isPublic: true },
        { kind: 'rate', label: 'Pushes sent', of: { metric: 'wake_sent_total' }, isPublic: true },
        { kind: 'rate', label: 'Pushes accepted', of: outcome('accepted') },
        { kind: 'latency', label: 'From signal to sealed push', of: 'wake_seal_seconds', isPublic: true },
        { kind: 'state', label: 'Canaries', judge: canaries },
      ],
    },
    {
      title: 'Gateway',
      says: 'The link to it, and what Apple answered through it.',
      rows: [
        {
          kind: 'shares',
          label: 'Answers',
          isPublic: true,
          parts: [
            { label: 'Accepted', state: 'ok', of: outcome('accepted') },
            { label: 'Later', state: 'warn', of: outcome('later') },
            { label: 'Device gone', state: 'idle', of: outcome('dead') },
            { label: 'Refused', state: 'down', of: outcome('refused') },
            { label: 'No way', state: 'down', of: outcome('unavailable') },
          ],
        },
        { kind: 'latency', label: 'From sealed push to answer', of: 'link_answer_seconds', isPublic: true },
        { kind: 'rate', label: 'Frames sent again', of: { metric: 'link_repeated_frames_total' } },
        { kind: 'state', label: 'Devices waiting', judge: waiting },
      ],
    },
    {
      title: 'Budgets and refusals',
      says: 'What did not leave at once, or was not taken on.',
      rows: [
        {
          kind: 'shares',
          label: 'Held back',
          parts: [
            { label: 'One server’s share is used up', state: 'idle', of: stopped('server-share') },
            { label: 'Gateway away', state: 'down', of: stopped('gateway-away') },
            { label: 'No token to push to', state: 'warn', of: stopped('no-token') },
            { label: 'Token not exchanged', state: 'warn', of: stopped('exchange-failed') },
          ],
        },
        {
          kind: 'shares',
          label: 'Clients',
          parts: [
            { label: 'Sessions', state: 'ok', of: { metric: 'clients_sessions_total' } },
            { label: 'Connections refused', state: 'warn', of: { metric: 'clients_refused_total' } },
            { label: 'Errors answered', state: 'warn', of: { metric: 'clients_errors_total' } },
          ],
        },
      ],
    },
    {
      title: 'Held in memory',
      says: 'No device token among it; gone with the process.',
      rows: [
        { kind: 'count', label: 'Registrations', of: { metric: 'registry_devices' } },
        { kind: 'count', label: 'Subscriptions', of: { metric: 'registry_subscriptions' } },
        { kind: 'count', label: 'Signals in mailboxes', of: { metric: 'wake_mailbox_entries' } },
        { kind: 'count', label: 'Messaging servers', of: { metric: 'smp_servers' } },
      ],
    },
  ],
};

function outcome(name: Tables['wake_outcomes_total']['labels']['outcome'][number]) {
  return { metric: 'wake_outcomes_total', where: { outcome: name } } as const;
}

function stopped(cause: Tables['wake_stopped_total']['labels']['cause'][number]) {
  return { metric: 'wake_stopped_total', where: { cause } } as const;
}
