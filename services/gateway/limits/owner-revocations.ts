/**
 * How many revocations of owner keys a subscriber may bring. Anyone can make keys and sign with them, so each would
 * be an entry for free: those of subscribers without a proven device share one allowance.
 */
import type { Clock } from '../../../shared/run/clock.js';
import { after, type Limit, waitMs } from './gcra.js';
import type { Subscribers } from './subscribers.js';

const LIMIT: Limit = { periodMs: 60_000, burst: 60 };
const NEWCOMERS = '';
/** Subscribers whose use is remembered; the one that came longest ago gives way. */
const MAX_REMEMBERED = 10_000;

export class OwnerRevocations {
  private readonly clock: Clock;
  private readonly subscribers: Subscribers;
  private readonly used = new Map<string, number>();

  constructor(clock: Clock, subscribers: Subscribers) {
    this.clock = clock;
    this.subscribers = subscribers;
  }

  /** Takes one of the subscriber's allowance; 0 = go, else seconds to wait. */
  take(tag: string): number {
    const key = this.subscribers.account(tag).established ? tag : NEWCOMERS;
    const now = this.clock.monotonic();
    const used = this.used.get(key) ?? 0;
    const wait = waitMs(used, now, LIMIT);
    if (wait > 0) return Math.ceil(wait / 1000);
    this.used.delete(key);
    this.used.set(key, after(used, now, LIMIT));
    if (this.used.size > MAX_REMEMBERED) this.used.delete(this.used.keys().next().value!);
    return 0;
  }
}
