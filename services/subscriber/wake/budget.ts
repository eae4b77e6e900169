/**
 * How often a device may be pushed (design §5): token buckets in one number each. Pure; times are
 * `Clock.monotonic` milliseconds.
 */

export interface Rate {
  /** One token comes back in this time. */
  readonly intervalMs: number;
  /** Tokens that can be spent at once. */
  readonly burst: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

export const RATES = {
  /** Background pushes and checks: 3 an hour, 20 minutes apart. */
  silent: { intervalMs: 20 * MINUTE, burst: 1 },
  /** Mode `mutable`: a burst of 60, then one a second. */
  mutable: { intervalMs: SECOND, burst: 60 },
  /** Outside of the silent budget; the gateway itself takes 10 an hour (relay.md §5). */
  verification: { intervalMs: 10 * MINUTE, burst: 6 },
} as const satisfies Record<string, Rate>;

/** GCRA: remembers only when the bucket would be full again. */
export class Budget {
  private readonly rate: Rate;
  private fullAt = Number.NEGATIVE_INFINITY;

  constructor(rate: Rate) {
    this.rate = rate;
  }

  /** When the next token is there: in the past where one is there already. */
  readyAt(): number {
    return this.fullAt - (this.rate.burst - 1) * this.rate.intervalMs;
  }

  /** Spends one token, also where there is none left: the next comes correspondingly later. */
  spend(now: number): void {
    this.fullAt = Math.max(now, this.fullAt) + this.rate.intervalMs;
  }
}
