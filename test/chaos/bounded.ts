/** Nothing in chaos waits for ever: every wait has an end in real time and says what it was for. */
import { sleep, systemClock } from '../../shared/run/clock.js';

const POLL_MS = 10;

/** What was waited for did not come in time. */
export class TooLong extends Error {
  override readonly name = 'TooLong';
}

/** Settles like `work`, or rejects with `TooLong` after `ms`. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    const timer = systemClock.after(ms, () => reject(new TooLong(`${what}: not in ${ms} ms`)));
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}

/** Whether it holds now, or comes to hold within `ms`. */
export async function holdsWithin(ms: number, holds: () => boolean): Promise<boolean> {
  const end = systemClock.monotonic() + ms;
  while (!holds() && systemClock.monotonic() < end) await sleep(systemClock, POLL_MS);
  return holds();
}
