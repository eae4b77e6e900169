/**
 * A lock between processes that share a folder: a file that only one can make. For changes of a few milliseconds that
 * an operator asks for; who waits holds up its process, so never to be used in the way of a request.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../../shared/run/clock.js';

const WAIT_MS = 5;
/** A second in all. */
const MAX_WAITS = 200;
/** Older than this, and its process was killed between making and removing it. */
const STALE_MS = 10_000;
/** Who breaks a lock has it when it is still there after this: far longer than others need from their look to their own. */
const SETTLE_MS = 100;

/** Runs `change` while this process has the lock. Throws what `change` throws, and EEXIST where it is not free in time. */
export function withFileLock<T>(path: string, clock: Clock, change: () => T): T {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const name = randomBytes(6).toString('hex');
  take(path, name, clock);
  try {
    return change();
  } finally {
    if (isOf(path, name)) rmSync(path, { force: true });
  }
}

function take(path: string, name: string, clock: Clock): void {
  for (let waits = 0; ; waits++) {
    try {
      make(path, name);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || waits >= MAX_WAITS) throw error;
    }
    if (!isStale(path, clock)) pause(WAIT_MS);
    else if (broken(path, name, clock)) return;
  }
}

/** Puts our own in its place, which is never empty: of several that do so at once, the last has it, and all can see that. */
function broken(path: string, name: string, clock: Clock): boolean {
  const draft = `${path}.${name}`;
  make(draft, name);
  try {
    // Another may have done so while we made ours.
    if (!isStale(path, clock)) return false;
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
  pause(SETTLE_MS);
  return isOf(path, name);
}

const make = (path: string, name: string): void => writeFileSync(path, name, { flag: 'wx', mode: 0o600 });

const pause = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

function isOf(path: string, name: string): boolean {
  try {
    return readFileSync(path, 'latin1') === name;
  } catch {
    return false;
  }
}

/** Also where it seems to come from the future: the clock was set back since. */
function isStale(path: string, clock: Clock): boolean {
  const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return made !== undefined && Math.abs(clock.now() - made) > STALE_MS;
}
