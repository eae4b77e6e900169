/**
 * What follows from each outcome of a push (relay.md §6) in each standing of its device, as one table. Pure.
 */
import type { Outcome } from '../../../shared/relay/batch.js';
import type { TokenStatus } from '../registry/device.js';

/**
 * `told`: what it carried is told, and a renewed capability is kept · `wait`: as long as the gateway says · `hold`:
 * until the gateway is back · `invalid`: the token is INVALID for Apple's reason · `reseal`: the token sealed since is
 * tried, without one it is INVALID · `pause`: only a bug explains it: logged, and not repeated for an hour ·
 * `keep`: all waits for the client to register again · `count`: it only counts in metrics.
 */
export type Reaction = 'told' | 'wait' | 'hold' | 'invalid' | 'reseal' | 'pause' | 'keep' | 'count';

/** A device's status, or `outdated` where the push went to a token that has been replaced or removed since. */
export type Standing = TokenStatus | 'outdated';

type Row = Readonly<Record<Standing, Reaction>>;

const row = (
  registered: Reaction,
  confirmed: Reaction,
  active: Reaction,
  invalid: Reaction,
  outdated: Reaction,
): Row => ({ registered, confirmed, active, invalid, outdated });

const ACCEPTED = row('told', 'told', 'told', 'told', 'count');
const LATER = row('wait', 'wait', 'wait', 'keep', 'count');
const DEAD = row('invalid', 'invalid', 'invalid', 'keep', 'count');
const LOST = row('reseal', 'reseal', 'reseal', 'keep', 'count');
const BUG = row('pause', 'pause', 'pause', 'pause', 'count');
const AWAY = row('hold', 'hold', 'hold', 'keep', 'count');

type Reasons = {
  readonly [K in Outcome['kind']]: Readonly<Record<Extract<Outcome, { kind: K }>['reason'], Row>>;
};

export const REACTIONS: Reasons = {
  accepted: { none: ACCEPTED },
  later: { budget: LATER, device: LATER, provider: LATER, load: LATER },
  dead: { bad: DEAD, topic: DEAD, expired: DEAD, unregistered: DEAD },
  refused: {
    expired: LOST,
    'unknown-key': LOST,
    revoked: LOST,
    'wrong-subscriber': BUG,
    malformed: BUG,
  },
  unavailable: { 'provider-down': AWAY, 'breaker-open': AWAY },
};

export function reactionTo(outcome: Outcome, standing: Standing): Reaction {
  const rows: Readonly<Record<string, Row>> = REACTIONS[outcome.kind];
  return rows[outcome.reason]![standing];
}
