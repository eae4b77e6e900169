/** The small parts: queue, breaker, delays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Breaker } from '../../../../../services/gateway/apns/breaker.js';
import { DeviceDelays, ProviderPause } from '../../../../../services/gateway/apns/delays.js';
import { Fifo } from '../../../../../services/gateway/apns/fifo.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { crypto, push } from '../../../../support/apns/setup.js';

test('fifo: behaves as an array does', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('push' as const), n: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ do: fc.constant('shift' as const), n: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ do: fc.constant('sift' as const), n: fc.integer({ min: 2, max: 5 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      let next = 0;
      for (const { do: what, n } of steps) {
        if (what === 'sift') {
          fifo.sift((item) => item % n !== 0);
          model = model.filter((item) => item % n !== 0);
        }
        for (let i = 0; what !== 'sift' && i < n; i++) {
          if (what === 'shift') assert.equal(fifo.shift(), model.shift());
          else {
            fifo.push(next);
            model.push(next++);
          }
        }
        assert.equal(fifo.length, model.length);
        assert.equal(fifo.peek(), model[0]);
      }
    }),
    { numRuns: 50 },
  );
});

test('breaker: opens for twice as long each time, up to the limit, and closes for good', async () => {
  const clock = new VirtualClock();
  const breaker = new Breaker({ minMs: 30_000, maxMs: 120_000, clock });
  assert.equal(breaker.ask(), 'pass');
  for (const ms of [30_000, 60_000, 120_000, 120_000]) {
    assert.equal(breaker.trip(), true);
    assert.equal(breaker.trip(), false, 'answers of the same failure count once');
    await clock.advance(ms - 1);
    assert.equal(breaker.ask(), 'stop');
    await clock.advance(1);
    assert.equal(breaker.ask(), 'probe');
    assert.equal(breaker.ask(), 'stop');
  }
  breaker.release();
  assert.equal(breaker.ask(), 'probe');
  breaker.close();
  assert.equal(breaker.ask(), 'pass');
});

test('provider pause: failures of one moment count once', async () => {
  const clock = new VirtualClock();
  const pause = new ProviderPause(clock);
  for (let i = 0; i < 500; i++) assert.equal(pause.fail(), 60);
  await clock.advance(60_000);
  assert.equal(pause.fail(), 120);
  pause.reset();
  assert.equal(pause.fail(), 60);
});

test('device delays are bounded: the one that is there longest makes room', () => {
  const delays = new DeviceDelays(crypto, new VirtualClock(), 3);
  const to = (i: number) => push(i.toString(16).padStart(64, '0'));
  for (let i = 0; i < 5; i++) delays.delay(to(i), undefined);
  assert.equal(delays.size, 3);
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((i) => delays.remaining(to(i))),
    [0, 0, 60, 60, 60],
  );
  delays.clear(to(4));
  assert.equal(delays.remaining(to(4)), 0);
});

test('device delays: the key changes daily, and nothing of a device outlives it', async () => {
  const clock = new VirtualClock();
  const keys: Uint8Array[] = [];
  const randomBytes = (n: number): Uint8Array => {
    const key = crypto.randomBytes(n);
    keys.push(key);
    return key;
  };
  const delays = new DeviceDelays({ ...crypto, randomBytes }, clock, 3);
  await clock.advance(86_400_000 - 1_000);
  delays.delay(push('ab'), undefined);
  await clock.advance(1_000);
  assert.equal(delays.remaining(push('ab')), 0);
  assert.equal(delays.size, 0);
  assert.equal(keys.length, 2);
  assert.ok(keys[0]!.every((byte) => byte === 0));
});

test('device delays: the same token of another app is another device', () => {
  const delays = new DeviceDelays(crypto, new VirtualClock(), 3);
  delays.delay(push('ab'), undefined);
  assert.equal(delays.remaining(push('ab', { topic: 'other' })), 0);
  assert.equal(delays.remaining(push('ab', { environment: 'sandbox' })), 0);
});
