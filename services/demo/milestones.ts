/**
 * The milestones that all wake-ups passed, and where some of them stopped, as the two services count them: read from
 * their /metrics, as an operator would. Counts and times only; there are no ids in it.
 */
import { type Samples, scrape } from './metrics-text.js';

/** Rows of a table: what, and how often or how fast. */
export interface Milestones {
  readonly passed: readonly (readonly string[])[];
  /** Empty when everything went through. */
  readonly stopped: readonly (readonly string[])[];
  readonly hops: readonly (readonly string[])[];
}

const SUBSCRIBER = 'porchlight_subscriber_';
const GATEWAY = 'porchlight_gateway_';

/** In the order of a wake-up's way. */
const PASSED: readonly (readonly [string, (samples: Samples) => number])[] = [
  ['subscriber: signal received', (s) => s.sum(`${SUBSCRIBER}wake_signals_total`)],
  [
    'subscriber: queued for the phone',
    (s) =>
      s.sum(`${SUBSCRIBER}wake_signals_total`) - s.sum(`${SUBSCRIBER}wake_signals_total`, { result: 'lost' }),
  ],
  ['subscriber: push sealed', (s) => s.sum(`${SUBSCRIBER}wake_sealed_total`)],
  ['subscriber: frame sent', (s) => s.sum(`${SUBSCRIBER}wake_sent_total`)],
  ['gateway: frame received', (s) => s.sum(`${GATEWAY}milestones_total`, { milestone: 'received' })],
  [
    'gateway: admitted, given to the engine',
    (s) => s.sum(`${GATEWAY}milestones_total`, { milestone: 'admitted' }),
  ],
  ['gateway: answered by Apple', (s) => s.sum(`${GATEWAY}milestones_total`, { milestone: 'answered' })],
  ['subscriber: frame accepted', (s) => s.sum(`${SUBSCRIBER}wake_outcomes_total`, { outcome: 'accepted' })],
];

/** Counters that say why something stopped, with the label that names the reason and what is no reason. */
const STOPS: readonly (readonly [string, string, string, readonly string[]])[] = [
  ['subscriber: signal of', `${SUBSCRIBER}smp_dropped_signals_total`, 'reason', []],
  ['subscriber: signal', `${SUBSCRIBER}wake_signals_total`, 'result', ['new', 'replaced']],
  ['subscriber: push,', `${SUBSCRIBER}wake_stopped_total`, 'cause', []],
  ['subscriber: outcome', `${SUBSCRIBER}wake_outcomes_total`, 'outcome', ['accepted']],
  ['gateway: outcome', `${GATEWAY}frames_total`, 'outcome', ['accepted']],
];

const HOPS: readonly (readonly [string, string])[] = [
  ['subscriber: received → sealed', `${SUBSCRIBER}wake_seal_seconds`],
  ['subscriber: sealed → answered', `${SUBSCRIBER}link_answer_seconds`],
  ['gateway: frame received → answered by Apple', `${GATEWAY}frame_seconds`],
];

/** Rejects where a service does not answer. */
export async function readMilestones(ports: readonly number[]): Promise<Milestones> {
  const samples = await scrape(ports);
  const stopped = STOPS.flatMap(([what, name, label, fine]) =>
    [...samples.by(name, label)]
      .filter(([reason, count]) => count > 0 && !fine.includes(reason))
      .map(([reason, count]) => [`${what} ${reason}`, String(count)]),
  );
  return {
    passed: PASSED.map(([what, count]) => [what, String(count(samples))]),
    stopped,
    hops: HOPS.map(([what, name]) => [what, ...[0.5, 0.95].map((q) => shown(samples.quantile(name, q)))]),
  };
}

const shown = (seconds: number | undefined): string => {
  if (seconds === undefined) return '–';
  return seconds === Number.POSITIVE_INFINITY ? 'longer' : `≤ ${Math.round(seconds * 1000)} ms`;
};
