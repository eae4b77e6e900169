/** The gateway's status page: which of its metrics make which hop and panel. */
import { processMetrics } from '../../shared/run/process-metrics.js';
import type { Judge, StatusDescription } from '../../shared/run/status/description.js';
import { apnsMetrics } from './apns/metrics.js';
import { gatewayMetrics } from './metrics.js';

/** Every metric of a gateway. */
export const GATEWAY_TABLES = { ...gatewayMetrics, ...apnsMetrics, ...processMetrics } as const;

type Tables = typeof GATEWAY_TABLES;

const messagingServers: Judge<Tables> = () => ({
  state: 'unseen',
  says: 'The gateway never learns which servers there are.',
});

const subscribers: Judge<Tables> = ({ now, recent }) => {
  if (recent({ metric: 'frames_total' }) > 0) return { state: 'ok', says: 'Wake-ups come in.' };
  return now({ metric: 'connections' }) > 0
    ? { state: 'ok', says: 'Connected, nothing to send.' }
    : { state: 'idle', says: 'None is connected.' };
};

const itself: Judge<Tables> = ({ notReady }) =>
  notReady === undefined
    ? { state: 'ok', says: 'Takes pushes of every app.' }
    : { state: 'down', says: 'An app’s pushes are not taken.' };

const apple: Judge<Tables> = ({ now, recent }) => {
  if (now({ metric: 'apns_breakers_open' }) > 0) {
    return { state: 'down', says: 'A breaker is open: see key, team, topic and environment.' };
  }
  const gone = recent({ metric: 'apns_pushes_total', where: { result: 'unavailable' } });
  const accepted = recent({ metric: 'apns_pushes_total', where: { result: 'accepted' } });
  if (gone > accepted) return { state: 'down', says: 'Most pushes get no answer.' };
  if (gone > 0) return { state: 'warn', says: 'Some pushes get no answer.' };
  return now({ metric: 'apns_connections' }) > 0
    ? { state: 'ok', says: 'Connected.' }
    : { state: 'idle', says: 'Connections open with the next push.' };
};

const breakers: Judge<Tables> = ({ now }) => {
  const open = now({ metric: 'apns_breakers_open' });
  return open === 0 ? { state: 'ok', says: 'all closed' } : { state: 'down', says: `${open} open` };
};

const waiting: Judge<Tables> = ({ now }) =>
  now({ metric: 'apns_waiting' }) > now({ metric: 'apns_in_flight' })
    ? { state: 'warn', says: 'more waiting than under way' }
    : { state: 'ok', says: 'none to speak of' };

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
        { kind: 'state', label: 'Breakers', judge: breakers },
        { kind: 'state', label: 'Backlog', judge: waiting },
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
        { kind: 'rate', label: 'Connections refused', of: { metric: 'connections_refused_total' } },
      ],
    },
    {
      title: 'Held in memory',
      says: 'No token, no capability, no key among it; gone with the process.',
      rows: [
        { kind: 'count', label: 'Subscribers connected', of: { metric: 'connections' } },
        { kind: 'count', label: 'Subscribers with proven devices', of: { metric: 'subscribers' } },
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
