/** Metrics of the gateway's own parts. Labels are closed sets; none names a device, a subscriber or an app. */
import { FRAME_KINDS, OUTCOMES, type OutcomeKind } from '../../shared/relay/batch.js';
import { PROBLEM_CODES } from '../../shared/relay/problem.js';
import { HOP_BUCKETS, type MetricTable } from '../../shared/run/metrics.js';

const OUTCOME_KINDS = Object.keys(OUTCOMES) as OutcomeKind[];
const REASONS = [...new Set(Object.values(OUTCOMES).flat())];

export const ENDPOINTS = ['gateway', 'capabilities', 'prove', 'renew', 'revoke', 'push'] as const;
export type EndpointName = (typeof ENDPOINTS)[number];

/** In the order of a frame's way: come in, past capability and limits and given to the engine, answered by Apple. */
export const MILESTONES = ['received', 'admitted', 'answered'] as const;
export type Milestone = (typeof MILESTONES)[number];

export const gatewayMetrics = {
  requests_total: {
    kind: 'counter',
    help: 'Requests by endpoint and by what they were answered: `ok` or a problem.',
    labels: { endpoint: ENDPOINTS, code: ['ok', ...PROBLEM_CODES] },
  },
  frames_total: {
    kind: 'counter',
    help: 'Push frames by kind and outcome.',
    labels: { kind: FRAME_KINDS, outcome: OUTCOME_KINDS, reason: REASONS },
  },
  milestones_total: {
    kind: 'counter',
    help: 'Frames that came so far; where one ended before, frames_total says why.',
    labels: { milestone: MILESTONES },
  },
  frame_seconds: {
    kind: 'histogram',
    help: "From a frame's arrival to Apple's answer; frames that never went to Apple are left out.",
    buckets: HOP_BUCKETS,
  },
  connections_refused_total: { kind: 'counter', help: 'Connections closed because of address limits.' },
  connections: { kind: 'gauge', help: 'Open connections of subscribers.' },
  subscribers: { kind: 'gauge', help: 'Subscribers with proven devices that are remembered.' },
  address_blocks: {
    kind: 'gauge',
    help: 'Address blocks whose failures, connections or requests are limited.',
  },
  first_contact_sources: {
    kind: 'gauge',
    help: 'Subscribers and address blocks whose first contacts are counted.',
  },
  doubted_devices: { kind: 'gauge', help: "Proven devices that Apple refused and that aren't given up yet." },
  refusal_breakers_open: {
    kind: 'gauge',
    help: 'Breakers open because many proven devices of an app were refused.',
  },
  limited_devices: { kind: 'gauge', help: 'Devices whose limits are counted today.' },
  frame_ids: { kind: 'gauge', help: 'Frame ids remembered.' },
  nonces: { kind: 'gauge', help: 'Nonces remembered.' },
  body_bytes: { kind: 'gauge', help: 'Announced size of the request bodies being worked on.' },
} as const satisfies MetricTable;
