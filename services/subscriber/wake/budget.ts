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
  /** All that shows nothing, checks included: 3 an hour, 20 minutes apart. */
  silent: { intervalMs: 20 * MINUTE, burst: 1 },
  /** Mode `mutable`: a burst of 60, then one a second. */
  mutable: { intervalMs: SECOND, burst: 60 },
  /** Mode `alert`: one per 5 minutes, which is 12 an hour. */
  alert: { intervalMs: 5 * MINUTE, burst: 1 },
  /** Outside of the silent budget; the gateway itself takes 10 an hour (relay.md §5). */
  verification: { intervalMs: 10 * MINUTE, burst: 6 },
} as const satisfies Record<string, Rate>;

/** What one of several messaging servers may use of a rate (see `shares.ts`). */
export const half = ({ intervalMs, burst }: Rate): Rate => ({
  intervalMs: 2 * intervalMs,
  burst: Math.max(1, Math.floor(burst / 2)),
});

/**
 * GCRA: a bucket is the one number that says when it would be full again, at first long ago. The next token is
 * there at the time that this returns, which is past where one is there already.
 */
export const readyAt = (rate: Rate, fullAt: number): number => fullAt - (rate.burst - 1) * rate.intervalMs;

/** The bucket after spending one token; where there was none left, the next comes correspondingly later. */
export const spent = (rate: Rate, fullAt: number, now: number): number =>
  Math.max(now, fullAt) + rate.intervalMs;
