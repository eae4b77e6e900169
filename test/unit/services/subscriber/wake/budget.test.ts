import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RATES, type Rate, readyAt, spent } from '../../../../../services/subscriber/wake/budget.js';

/** Spends whenever a token is there, asking every second; the times in seconds. */
function spendGreedily(rate: Rate, forMs: number): number[] {
  const times: number[] = [];
  let bucket = Number.NEGATIVE_INFINITY;
  for (let now = 0; now < forMs; now += 1000) {
    while (readyAt(rate, bucket) <= now) {
      bucket = spent(rate, bucket, now);
      times.push(now / 1000);
    }
  }
  return times;
}

test('silent pushes: three an hour, twenty minutes apart', () => {
  assert.deepEqual(spendGreedily(RATES.silent, 3_600_000), [0, 1200, 2400]);
});

test('mode mutable: sixty at once, then one a second', () => {
  const times = spendGreedily(RATES.mutable, 10_000);
  assert.equal(times.filter((t) => t === 0).length, 60);
  assert.deepEqual(times.slice(60), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('an idle bucket never holds more than its burst', () => {
  const rate = { intervalMs: 10, burst: 2 };
  let bucket = spent(rate, Number.NEGATIVE_INFINITY, 0);
  let count = 0;
  for (; readyAt(rate, bucket) <= 1_000_000; count++) bucket = spent(rate, bucket, 1_000_000);
  assert.equal(count, 2);
});

test('spending without a token delays the next one', () => {
  const rate = { intervalMs: 10, burst: 1 };
  assert.equal(readyAt(rate, spent(rate, spent(rate, 0, 0), 0)), 20);
});
