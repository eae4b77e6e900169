/** Waiting for what has no event of its own. The ceiling is generous: it only ends tests that would never end. */
import { sleep, systemClock } from '../../../shared/run/clock.js';
import type { LeapClock } from './leap-clock.js';

const POLL_MS = 5;
const CEILING_MS = 30_000;
/** Leaps are of one second first, then twice as far each time. */
const FIRST_LEAP_MS = 1_000;
const LAST_LEAP_MS = 10 * 60_000;
/** Polls between two leaps; more where a leap is longer than the deadline of an exchange, so that one gets done. */
const POLLS_PER_LEAP = 8;
const POLLS_PER_LONG_LEAP = 30;
const LONG_LEAP_MS = 8_000;

type Condition = () => boolean | Promise<boolean>;

/** Resolves once the condition holds; rejects, naming `what`, when it doesn't for far too long. */
export const eventually = (what: string, holds: Condition): Promise<void> => poll(what, holds, () => {});

/** The same, letting time pass quickly meanwhile: back-offs end, budgets fill, checks become due. */
export function eventuallyLater(clock: LeapClock, what: string, holds: Condition): Promise<void> {
  let leapMs = FIRST_LEAP_MS;
  let leapAt = POLLS_PER_LEAP;
  return poll(what, holds, (round) => {
    if (round < leapAt) return;
    clock.leap(leapMs);
    leapMs = Math.min(2 * leapMs, LAST_LEAP_MS);
    leapAt += leapMs < LONG_LEAP_MS ? POLLS_PER_LEAP : POLLS_PER_LONG_LEAP;
  });
}

async function poll(what: string, holds: Condition, between: (round: number) => void): Promise<void> {
  const end = systemClock.monotonic() + CEILING_MS;
  for (let round = 0; !(await holds()); round++) {
    if (systemClock.monotonic() > end) throw new Error(`never happened: ${what}`);
    between(round);
    await sleep(systemClock, POLL_MS);
  }
}
