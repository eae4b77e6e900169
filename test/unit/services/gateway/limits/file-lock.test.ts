import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { withFileLock } from '../../../../../services/gateway/limits/file-lock.js';
import { type Clock, systemClock } from '../../../../../shared/run/clock.js';

describe('a lock that is a file', () => {
  let folder: string;
  let lock: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'porchlight-lock-'));
    lock = join(folder, 'list.lock');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const lockedBy = (name: string, agoMs: number): void => {
    writeFileSync(lock, name);
    const made = (systemClock.now() - agoMs) / 1000;
    utimesSync(lock, made, made);
  };
  /** Does something just when the lock was looked at for the `n`th time. */
  function interrupted(n: number, run: () => void): Clock {
    let looks = 0;
    return {
      ...systemClock,
      now: () => {
        if (++looks === n) run();
        return systemClock.now();
      },
    };
  }

  test('is there while the change runs, and gone after it', () => {
    assert.equal(
      withFileLock(lock, systemClock, () => readdirSync(folder).join()),
      'list.lock',
    );
    assert.throws(() =>
      withFileLock(lock, systemClock, () => {
        throw new Error();
      }),
    );
    assert.deepEqual(readdirSync(folder), []);
  });

  test('of several that find the same one left, who comes late waits for who broke it', () => {
    lockedBy('a killed process', 60_000);
    const clock = interrupted(1, () => {
      rmSync(lock);
      lockedBy('another', 0);
    });
    assert.throws(() => withFileLock(lock, clock, assert.fail), { code: 'EEXIST' });
    assert.equal(readFileSync(lock, 'latin1'), 'another');
    assert.deepEqual(readdirSync(folder), ['list.lock']);
  });

  test('of several that break it at once only the last has it', () => {
    lockedBy('a killed process', 60_000);
    let held = 0;
    // The second look is the last before a process puts its own in place: here another has just done so.
    const clock = interrupted(2, () => lockedBy('another', 0));
    withFileLock(lock, clock, () => {
      held++;
      assert.notEqual(readFileSync(lock, 'latin1'), 'another');
    });
    assert.equal(held, 1);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('is not removed where another has it meanwhile', () => {
    withFileLock(lock, systemClock, () => lockedBy('another', 0));
    assert.equal(readFileSync(lock, 'latin1'), 'another');
  });
});
