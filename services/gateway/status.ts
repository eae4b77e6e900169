/** The gateway's status page: which of its metrics make which hop and panel. */
import { processMetrics } from '../../shared/run/process-metrics.js';
import type { Judge, StatusDescription } from '../../shared/run/status/description.js';
import { apnsMetrics } from './apns/metrics.js';
import { revocationMetrics } from './capabilities/metrics.js';
import { gatewayMetrics } from './metrics.js';
import { redisMetrics } from './redis/metrics.js';

/** Every metric of a gateway. */
export const GATEWAY_TABLES = {
  ...gatewayMetrics,
  ...apnsMetrics,
  ...revocationMetrics,
  ...redisMetrics,
  ...processMetrics,
} as const;

type Tables = typeof GATEWAY_TABLES;

const messagingServers: Judge<Tables> = () => ({
  state: 'unseen',
  says: 'The gateway never learns which servers there are.',
});

const subscribers: Judge<Tables> = ({ crowd }) =>
  crowd({ metric: 'connections' })
    ? { state: 'ok', says: 'Connected.' }
    : { state: 'idle', says: 'Few or none are connected.' };

const itself: Judge<Tables> = ({ notReady }) =>
  notReady === undefined
    ? { state: 'ok', says: 'Takes pushes of every app.' }
    : { state: 'down', says: 'An app’s pushes are not taken.' };

const apple: Judge<Tables> = ({ now, recent, crowd }) => {
  if (now({ metric: 'apns_breakers_open' }) > 0) {
    return { state: 'down', says: 'A breaker is open: see key, team, topic and environment.' };
  }
  if (recent(pushes('unavailable')) > recent(pushes('accepted'))) {
    return { state: 'down', says: 'Most pushes get no answer.' };
  }
  if (recent(pushes('unavailable')) > 0) return { state: 'warn', says: 'Some pushes get no answer.' };
  if (crowd({ metric: 'apns_waiting' })) return { state: 'warn', says: 'Pushes have to wait.' };
  return now({ metric: 'apns_connections' }) > 0
    ? { state: 'ok', says: 'Connected.' }
    : { state: 'idle', says: 'Connections open with the next push.' };
};

const breakers =
  (metric: 'apns_breakers_open' | 'refusal_breakers_open'): Judge<Tables> =>
  ({ now }) => {
    const open = now({ metric });
    return open === 0 ? { state: 'ok', says: 'all closed' } : { state: 'down', says: `${open} open` };
  };

const backlog: Judge<Tables> = ({ crowd }) =>
  crowd({ metric: 'apns_waiting' })
    ? { state: 'warn', says: 'pushes have to wait' }
    : { state: 'ok', says: 'few or none' };

const limits: Judge<Tables> = ({ now, knows }) => {
  if (!knows({ metric: 'shared_limits_state' })) return { state: 'ok', says: 'of this gateway alone' };
  return now({ metric: 'shared_limits_state' }) === 1
    ? { state: 'ok', says: 'shared through Redis' }
    : { state: 'warn', says: 'Redis is away; its share alone' };
};

const revocations: Judge<Tables> = ({ now }) =>
  now({ metric: 'revocations_readable' }) === 1
    ? { state: 'ok', says: 'known' }
    : { state: 'warn', says: 'those of other gateways can’t be read' };

export const gatewayStatus: StatusDescription<Tables> = {
  service: 'gateway',
  tables: GATEWAY_TABLES,
  hops: [
    { name: 'Messaging servers', judge: messagingServers },
    { name: 'Subscribers', judge: subscribers },
    { name: 'Gateway', here: true, judge: itself },
    { name: 'Apple', judge: apple },
  ],
  panels: [
    {
      title: 'Wake-ups',
      says: 'Frames from subscribers, and how many of them became pushes.',
      rows: [
        { kind: 'rate', label: 'Frames received', of: milestone('received'), isPublic: true },
        { kind: 'rate', label: 'Within limits, given to Apple', of: milestone('admitted') },
        { kind: 'rate', label: 'Answered by Apple', of: milestone('answered'), isPublic: true },
        { kind: 'latency', label: 'From frame to answer', of: 'frame_seconds', isPublic: true },
      ],
    },
    {
      title: 'Apple',
      says: 'What Apple said, and the state of the way there.',
      rows: [
        {
          kind: 'shares',
          label: 'Answers',
          isPublic: true,
          parts: [
            { label: 'Accepted', state: 'ok', of: pushes('accepted') },
            { label: 'Later', state: 'warn', of: pushes('later') },
            { label: 'Device gone', state: 'idle', of: pushes('dead') },
            { label: 'No answer', state: 'down', of: pushes('unavailable') },
            { label: 'Rejected', state: 'down', of: pushes('rejected') },
          ],
        },
        { kind: 'state', label: 'Breakers on configuration errors', judge: breakers('apns_breakers_open') },
        { kind: 'state', label: 'Breakers on refused devices', judge: breakers('refusal_breakers_open') },
        { kind: 'state', label: 'Backlog', judge: backlog },
        { kind: 'count', label: 'Connections', of: { metric: 'apns_connections' }, exact: true },
        { kind: 'latency', label: 'From queue to answer', of: 'apns_push_seconds' },
      ],
    },
    {
      title: 'Budgets and refusals',
      says: 'Frames that did not become pushes, and why.',
      rows: [
        {
          kind: 'shares',
          label: 'Frames not sent',
          parts: [
            { label: 'Device’s budget is used up', state: 'idle', of: unsent('later', 'budget') },
            { label: 'Apple asked for a pause', state: 'warn', of: unsent('later', ['device', 'provider']) },
            { label: 'Too much at once', state: 'warn', of: unsent('later', 'load') },
            {
              label: 'Capability not accepted',
              state: 'warn',
              of: { metric: 'frames_total', where: { outcome: 'refused' } },
            },
            {
              label: 'No way to Apple',
              state: 'down',
              of: { metric: 'frames_total', where: { outcome: 'unavailable' } },
            },
          ],
        },
        { kind: 'state', label: 'Limits', judge: limits },
        { kind: 'state', label: 'Revocations', judge: revocations },
        { kind: 'rate', label: 'Connections refused', of: { metric: 'connections_refused_total' } },
      ],
    },
    {
      title: 'Held in memory',
      says: 'No token, no capability, no key among it; gone with the process.',
      rows: [
        { kind: 'count', label: 'Subscribers connected', of: { metric: 'connections' } },
        { kind: 'count', label: 'Subscribers with proven devices', of: { metric: 'subscribers' } },
        { kind: 'count', label: 'Revocations', of: { metric: 'revocations' } },
        { kind: 'count', label: 'Devices whose limits are counted', of: { metric: 'limited_devices' } },
      ],
    },
  ],
};

function milestone(name: Tables['milestones_total']['labels']['milestone'][number]) {
  return { metric: 'milestones_total', where: { milestone: name } } as const;
}

function pushes(result: Tables['apns_pushes_total']['labels']['result'][number]) {
  return { metric: 'apns_pushes_total', where: { result } } as const;
}

type FrameLabels = Tables['frames_total']['labels'];
type Reason = FrameLabels['reason'][number];

function unsent(outcome: FrameLabels['outcome'][number], reason: Reason | readonly Reason[]) {
  return { metric: 'frames_total', where: { outcome, reason } } as const;
}
