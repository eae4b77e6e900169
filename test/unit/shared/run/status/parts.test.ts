import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { Metrics } from '../../../../../shared/run/metrics.js';
import { History, type Past } from '../../../../../shared/run/status/history.js';
import { quantile } from '../../../../../shared/run/status/quantiles.js';
import { Ring } from '../../../../../shared/run/status/ring.js';
import { heightOf, roundForOperator, roundForPublic } from '../../../../../shared/run/status/rounding.js';
import { rateText, spanText } from '../../../../../shared/run/status/words.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('rounding', () => {
  test('few are not told from none', () => {
    for (let n = 0; n < 16; n++) {
      assert.deepEqual(roundForOperator(n), { under: 16 });
      assert.deepEqual(roundForPublic(n), { under: 16 });
    }
    assert.deepEqual(roundForOperator(16), { about: 16 });
  });

  test('powers of two; for the operator two digits of what is large', () => {
    assert.deepEqual(roundForOperator(100), { about: 128 });
    assert.deepEqual(roundForOperator(1_023), { about: 1_024 });
    assert.deepEqual(roundForOperator(123_456), { about: 120_000 });
    assert.deepEqual(roundForPublic(123_456), { about: 131_072 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (n) => {
        const height = heightOf(roundForPublic(n));
        assert.ok(height === 0 ? n < 16 : Number.isInteger(Math.log2(height)));
        assert.ok(height === 0 || (height / n < 1.5 && n / height < 1.5));
      }),
    );
  });

  test('one more of many shows nearly never', () => {
    const steps = Array.from({ length: 1_000 }, (_, n) => heightOf(roundForOperator(n)));
    assert.equal(new Set(steps).size, 8);
  });
});

describe('quantiles', () => {
  const buckets = [
    { bound: 0.1, count: 50 },
    { bound: 0.2, count: 90 },
    { bound: Number.POSITIVE_INFINITY, count: 100 },
  ];

  test('lie inside their bucket, as Prometheus says', () => {
    assert.equal(quantile(buckets, 0.5), 0.1);
    assert.equal(quantile(buckets, 0.25), 0.05);
    assert.ok(Math.abs(quantile(buckets, 0.7)! - 0.15) < 1e-9);
  });

  test('end at the last finite bound, and are none without observations', () => {
    assert.equal(quantile(buckets, 0.99), 0.2);
    assert.equal(quantile([], 0.5), undefined);
    assert.equal(quantile([{ bound: 1, count: 0 }], 0.5), undefined);
  });
});

test('a ring keeps the newest, oldest first', () => {
  const ring = new Ring<number>(3);
  assert.deepEqual(ring.all(), []);
  for (const n of [1, 2]) ring.push(n);
  assert.deepEqual(ring.all(), [1, 2]);
  for (const n of [3, 4, 5]) ring.push(n);
  assert.deepEqual(ring.all(), [3, 4, 5]);
});

test('words of rates and spans', () => {
  assert.deepEqual(rateText({ seconds: 300, count: { under: 16 } }), ['< 16', 'in 5 min']);
  assert.deepEqual(rateText({ seconds: 300, count: { about: 16 } }), ['3.2', 'a minute']);
  assert.deepEqual(rateText({ seconds: 300, count: { about: 12_000 } }), ['40', 'a second']);
  assert.deepEqual(rateText({ seconds: 3_600, count: { about: 32 } }), ['32', 'in 60 min']);
  assert.deepEqual([5, 300, 7_200, 400_000].map(spanText), ['5 s', '5 min', '2 hours', '4 days']);
});

describe('history', () => {
  async function keep(hours: number): Promise<{ past: Past; clock: VirtualClock; history: History }> {
    const clock = new VirtualClock();
    const metrics = new Metrics('t_');
    const { done_total } = metrics.add({ done_total: { kind: 'counter', help: 'Done.' } });
    const history = new History({ clock, read: () => metrics.samples() });
    await clock.advance(0);
    for (let minute = 0; minute < hours * 60; minute++) {
      done_total.inc(10);
      await clock.advance(MINUTE);
    }
    return { past: await history.past(), clock, history };
  }

  test('is bounded: half an hour in small steps, two days in hours', async () => {
    const { past, clock, history } = await keep(53);
    assert.ok(past.fine.length <= 126 && past.hourly.length <= 50);
    assert.ok(past.now.at - past.fine[0]!.at >= 30 * MINUTE);
    assert.ok(past.now.at - past.hourly[0]!.at >= 48 * HOUR);
    for (const moment of past.hourly) assert.equal((moment.at - past.start.at) % HOUR, 0);
    assert.equal(past.index.value(past.now, { metric: 'done_total' }), 53 * 600);
    history.close();
    await clock.advance(HOUR);
    assert.equal(clock.pending, 0);
  });

  test('a machine that slept dates its next hour to the hour', async () => {
    const { clock, history } = await keep(1);
    clock.suspend(5 * HOUR + 7 * MINUTE);
    await clock.advance(15_000);
    const { hourly, start } = await history.past();
    assert.deepEqual(
      hourly.map(({ at }) => (at - start.at) / HOUR),
      [0, 1, 6],
    );
    history.close();
  });

  test('many looks within a second are one reading', async () => {
    const clock = new VirtualClock();
    let reads = 0;
    const read = async () => {
      reads++;
      return [];
    };
    const history = new History({ clock, read });
    await Promise.all([history.past(), history.past(), history.past()]);
    assert.equal(reads, 1);
    await clock.advance(1_000);
    await Promise.all([history.past(), history.past()]);
    assert.equal(reads, 2);
    history.close();
  });
});
