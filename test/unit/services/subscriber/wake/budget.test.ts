import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budget, RATES, type Rate } from '../../../../../services/subscriber/wake/budget.js';

/** Spends whenever a token is there, asking every second; the times in seconds. */
function spendGreedily(rate: Rate, forMs: number): number[] {
  const budget = new Budget(rate);
  const times: number[] = [];
  for (let now = 0; now < forMs; now += 1000) {
    while (budget.readyAt() <= now) {
      budget.spend(now);
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
  const budget = new Budget({ intervalMs: 10, burst: 2 });
  budget.spend(0);
  let spent = 0;
  for (; budget.readyAt() <= 1_000_000; spent++) budget.spend(1_000_000);
  assert.equal(spent, 2);
});

test('spending without a token delays the next one', () => {
  const budget = new Budget({ intervalMs: 10, burst: 1 });
  budget.spend(0);
  budget.spend(0);
  assert.equal(budget.readyAt(), 20);
});
