/**
 * A lock between processes that share a folder: a file that only one can make. For changes of a few milliseconds that
 * an operator asks for; who waits holds up its process, so never to be used in the way of a request.
 */
import { closeSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../../shared/run/clock.js';

const WAIT_MS = 5;
/** A second in all. */
const MAX_WAITS = 200;
/** Older than this, and its process was killed between making and removing it. */
const STALE_MS = 10_000;

/** Runs `change` while this process has the lock. Throws what `change` throws, and EEXIST where it is not free in time. */
export function withFileLock<T>(path: string, clock: Clock, change: () => T): T {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  take(path, clock);
  try {
    return change();
  } finally {
    rmSync(path, { force: true });
  }
}

function take(path: string, clock: Clock): void {
  for (let waits = 0; ; waits++) {
    try {
      closeSync(openSync(path, 'wx', 0o600));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || waits >= MAX_WAITS) throw error;
    }
    if (isStale(path, clock)) rmSync(path, { force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  }
}

/** Also where it seems to come from the future: the clock was set back since. */
function isStale(path: string, clock: Clock): boolean {
  const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return made !== undefined && Math.abs(clock.now() - made) > STALE_MS;
}
