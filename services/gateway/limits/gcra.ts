/**
 * GCRA, the leaky bucket as one number: the time at which the bucket will be empty ("theoretical arrival time").
 * Numbers are milliseconds of a clock that never goes back.
 */

/** `burst` at once, then one each `periodMs`. */
export interface Limit {
  readonly periodMs: number;
  readonly burst: number;
}

const HOUR_MS = 3_600_000;

export const perSecond = (n: number, burst = n): Limit => ({ periodMs: 1000 / n, burst });
export const perHour = (n: number): Limit => ({ periodMs: HOUR_MS / n, burst: n });
export const perDay = (n: number): Limit => ({ periodMs: (24 * HOUR_MS) / n, burst: n });

/**
 * Milliseconds until `cost` more would conform; 0 = now. Changes nothing.
 * Less than one is none: clocks give fractions, and sums of them are a hair off where a bucket is just full.
 */
export function waitMs(tat: number, now: number, limit: Limit, cost = 1): number {
  const wait = after(tat, now, limit, cost) - limit.burst * limit.periodMs - now;
  return wait < 1 ? 0 : wait;
}

/** The bucket's number once `cost` has been taken. */
export function after(tat: number, now: number, limit: Limit, cost = 1): number {
  return Math.max(tat, now) + cost * limit.periodMs;
}
