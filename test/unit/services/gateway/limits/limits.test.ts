import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { OpenCapability } from '../../../../../services/gateway/capabilities/capability.js';
import { BucketTable } from '../../../../../services/gateway/limits/bucket-table.js';
import { DeviceLimits } from '../../../../../services/gateway/limits/devices.js';
import {
  after,
  type Limit,
  perHour,
  perSecond,
  waitMs,
} from '../../../../../services/gateway/limits/gcra.js';
import { NonceQuota, Nonces } from '../../../../../services/gateway/limits/nonces.js';
import { Subscribers } from '../../../../../services/gateway/limits/subscribers.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import type { FrameKind } from '../../../../../shared/relay/batch.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

describe('GCRA', () => {
  test('lets the burst through at once, then one each period', () => {
    const limit = perHour(4);
    let tat = 0;
    for (let i = 0; i < 4; i++) {
      assert.equal(waitMs(tat, 1000, limit), 0);
      tat = after(tat, 1000, limit);
    }
    assert.equal(waitMs(tat, 1000, limit), 15 * MINUTE);
    assert.equal(waitMs(tat, 1000 + 15 * MINUTE - 1, limit), 1);
    assert.equal(waitMs(tat, 1000 + 15 * MINUTE, limit), 0);
  });

  test('fractions of a clock take nothing from a burst', () => {
    for (let i = 0; i < 2000; i++) {
      const now = i * 17.123456789;
      for (const limit of [perSecond(1, 60), perHour(3), perSecond(7)]) {
        let tat = 0;
        let sent = 0;
        for (; waitMs(tat, now, limit) === 0; sent++) tat = after(tat, now, limit);
        assert.equal(sent, limit.burst);
      }
    }
  });

  test('what was saved up is never more than the burst', () => {
    const limit: Limit = perSecond(1, 3);
    let tat = after(0, 0, limit);
    for (let i = 0; i < 3; i++) tat = after(tat, DAY, limit);
    assert.equal(waitMs(tat, DAY, limit), 1000);
  });
});

describe('bucket table', () => {
  const buckets = [{ column: 0, limit: perHour(1) }];

  test('a full table refuses new keys rather than forget used buckets', () => {
    const table = new BucketTable(1, 2);
    for (const key of ['a', 'b']) table.take(table.add(key, 0)!, buckets, 0);
    assert.equal(table.add('c', 0), undefined);
    assert.ok(table.wait(table.find('a')!, buckets, 0) > 0);
    const row = table.add('c', HOUR);
    assert.notEqual(row, undefined, 'a row whose hour is over makes room');
    assert.equal(table.wait(row!, buckets, HOUR), 0);
    assert.equal(table.size, 2);
  });

  test('grows to its capacity', () => {
    const table = new BucketTable(1, 3000);
    for (let i = 0; i < 3000; i++) table.take(table.add(`${i}`, 0)!, buckets, 0);
    assert.equal(table.size, 3000);
    for (let i = 0; i < 3000; i++) assert.equal(table.wait(table.find(`${i}`)!, buckets, 0), HOUR);
    assert.equal(table.add('one more', 0), undefined);
  });
});

describe('device limits', () => {
  const device = (changes: Partial<OpenCapability> = {}): OpenCapability =>
    ({
      proven: true,
      environment: 'production',
      appTag: new Uint8Array(8),
      subscriberTag: new Uint8Array(16).fill(1),
      token: new Uint8Array(32).fill(9),
      ...changes,
    }) as OpenCapability;
  const setUp = (capacity = 100) => {
    const clock = new VirtualClock();
    return { clock, limits: new DeviceLimits({ crypto, clock, capacity }) };
  };
  /** Pushes until the limit refuses. */
  const drain = (limits: DeviceLimits, open: OpenCapability, kind: FrameKind) => {
    for (let n = 0; ; n++) {
      const refusal = limits.take(open, kind);
      if (refusal) return { n, ...refusal };
    }
  };

  for (const [kind, n, afterSeconds] of [
    ['check', 4, 900],
    ['alert', 12, 300],
    ['message', 60, 1],
    ['verification', 10, 360],
  ] as const) {
    test(`${kind}: ${n} at once, the next in ${afterSeconds} s`, async () => {
      const { clock, limits } = setUp();
      assert.deepEqual(drain(limits, device(), kind), { n, reason: 'budget', afterSeconds });
      await clock.advance(afterSeconds * 1000);
      assert.equal(drain(limits, device(), kind).n, 1);
    });
  }

  test('messages: 2,000 a day', async () => {
    const { clock, limits } = setUp();
    let sent = 0;
    for (let s = 0; s < 2100; s++) {
      if (limits.take(device(), 'message') === undefined) sent++;
      await clock.advance(1000);
    }
    // 2,000 at once and 48 that became free in these 2,100 seconds.
    assert.equal(sent, 2048);
  });

  test('devices of the test environment may be let off; nobody else is', () => {
    const limits = new DeviceLimits({ crypto, clock: new VirtualClock(), capacity: 9, limitsTest: false });
    const test = device({ environment: 'test', proven: false });
    for (let i = 0; i < 20; i++) assert.equal(limits.take(test, 'verification'), undefined);
    assert.equal(drain(limits, device({ proven: false }), 'verification').n, 1);
  });

  test('kinds and devices have buckets of their own', () => {
    const { limits } = setUp();
    drain(limits, device(), 'check');
    assert.equal(limits.take(device(), 'message'), undefined);
    assert.equal(limits.take(device({ token: new Uint8Array(31) }), 'check'), undefined);
    assert.equal(limits.take(device({ environment: 'sandbox' }), 'check'), undefined);
    assert.equal(limits.take(device({ appTag: new Uint8Array(8).fill(1) }), 'check'), undefined);
  });

  test('several subscribers of one device share twice the cap, and learn nothing exact', () => {
    const { limits } = setUp();
    const of = (n: number) => device({ subscriberTag: new Uint8Array(16).fill(n) });
    assert.equal(drain(limits, of(1), 'check').n, 4);
    assert.equal(drain(limits, of(2), 'check').n, 4);
    assert.deepEqual(drain(limits, of(3), 'check'), { n: 0, reason: 'device', afterSeconds: 1200 });
  });

  test('strangers together: one per 20 minutes, three in a row, apart from those who have proven', async () => {
    const { clock, limits } = setUp();
    const of = (n: number) => device({ proven: false, subscriberTag: new Uint8Array(16).fill(n) });
    assert.equal(limits.take(of(1), 'verification'), undefined);
    assert.deepEqual(limits.take(of(2), 'verification'), { reason: 'device', afterSeconds: 1200 });
    assert.equal(limits.take(device(), 'verification'), undefined);
    let sent = 1;
    for (let i = 0; i < 8; i++) {
      await clock.advance(20 * MINUTE);
      if (limits.take(of(i), 'verification') === undefined) sent++;
    }
    assert.equal(sent, 3);
  });

  test('strangers together: never more than 6 in any 24 hours', async () => {
    const { clock, limits } = setUp();
    const sent: number[] = [];
    for (let minute = 0; minute < 5 * 24 * 60; minute += 10) {
      // A quiet day in between fills the buckets.
      const isQuiet = minute >= 24 * 60 && minute < 48 * 60;
      const open = device({ proven: false, subscriberTag: new Uint8Array(16).fill(minute) });
      if (!isQuiet && limits.take(open, 'verification') === undefined) sent.push(minute);
      await clock.advance(10 * MINUTE);
    }
    const most = Math.max(...sent.map((at) => sent.filter((m) => m >= at && m < at + 24 * 60).length));
    assert.ok(most >= 5 && most <= 6, `${most}`);
  });

  test('a change of key, day by day, gives nothing away and resets nothing', async () => {
    const { clock, limits } = setUp();
    await clock.advance(DAY - MINUTE);
    drain(limits, device(), 'check');
    await clock.advance(2 * MINUTE);
    assert.equal(drain(limits, device(), 'check').n, 0);
    await clock.advance(DAY);
    assert.equal(drain(limits, device(), 'check').n, 4);
  });

  test('made-up tokens that Apple refused make room; what was counted for others stays', () => {
    const { limits } = setUp(2);
    const stranger = (n: number) => device({ proven: false, token: new Uint8Array(32).fill(n) });
    assert.equal(limits.take(stranger(0), 'verification'), undefined);
    for (let n = 1; n < 50; n++) {
      assert.equal(limits.take(stranger(n), 'verification'), undefined, `${n}`);
      limits.forget(stranger(n));
      assert.equal(limits.take(stranger(n), 'verification')?.reason, 'device', 'while there is room for it');
    }
    assert.equal(limits.take(stranger(0), 'verification')?.reason, 'device');
    limits.forget(device());
    assert.equal(limits.size, 2);
  });

  test('a full table answers `load`, and counts devices once a day', () => {
    const { limits } = setUp(1);
    let seen = 0;
    const take = (open: OpenCapability) => limits.take(open, 'check', () => seen++);
    assert.equal(take(device()), undefined);
    assert.equal(take(device()), undefined);
    assert.equal(take(device({ token: new Uint8Array(3) }))?.reason, 'load');
    assert.equal(seen, 1);
  });
});

describe('nonces', () => {
  const signer = new Uint8Array(16);
  const nonce = (n: number) => new Uint8Array(16).fill(n);

  test('are known for as long as a request can be in the window, and for twice that at most', () => {
    const nonces = new Nonces(10);
    const quota = new NonceQuota(10);
    const add = (now: number) => nonces.add(signer, nonce(1), quota, now);
    // Signed 60 s ahead, judged in whole seconds: good for 120.999 s.
    assert.equal(add(120_999), 'new');
    assert.equal(add(120_999 + 120_999), 'seen');
    assert.equal(add(242_000), 'new');
  });

  test('a full share refuses until it is two minutes older; others go on', () => {
    const nonces = new Nonces(10);
    const quota = new NonceQuota(2);
    const add = (n: number, now: number, q = quota) => nonces.add(signer, nonce(n), q, now);
    assert.equal(add(1, 0), 'new');
    assert.equal(add(2, 0), 'new');
    assert.equal(add(3, 0), 'full');
    assert.equal(add(1, 0), 'seen');
    assert.equal(add(3, 0, new NonceQuota(2)), 'new');
    assert.equal(add(4, 121_000), 'full');
    assert.equal(add(4, 242_000), 'new');
  });

  test('the whole is bounded too', () => {
    const nonces = new Nonces(1);
    assert.equal(nonces.add(signer, nonce(1), new NonceQuota(5), 0), 'new');
    assert.equal(nonces.add(signer, nonce(2), new NonceQuota(5), 0), 'full');
  });

  test('one that changed account is still known', () => {
    const nonces = new Nonces(10);
    nonces.add(signer, nonce(1), new NonceQuota(5), 0);
    assert.equal(nonces.add(signer, nonce(1), new NonceQuota(5), 0), 'seen');
  });
});

describe('subscribers', () => {
  const setUp = (capacity = 2) => {
    const clock = new VirtualClock();
    const subscribers = new Subscribers({
      clock,
      capacity,
      rate: 10,
      newcomerRate: 1,
      requests: 2,
      newcomerRequests: 1,
      nonces: 5,
    });
    return { clock, subscribers };
  };

  test('newcomers share one account', () => {
    const { clock, subscribers } = setUp();
    const now = clock.monotonic();
    assert.equal(subscribers.account('a'), subscribers.account('b'));
    assert.equal(subscribers.account('a').enter(10, now), 0);
    subscribers.account('a').leave();
    assert.ok(subscribers.account('b').enter(1, now) > 0);
    assert.equal(subscribers.establish('b').enter(1, now), 0, 'one with a device is not held up by them');
  });

  test('an allowance grows with the proven devices and shrinks when they are gone for two days', async () => {
    const { clock, subscribers } = setUp();
    const account = subscribers.establish('a');
    assert.equal(account.enter(100, clock.monotonic()), 0);
    assert.ok(account.enter(1, clock.monotonic()) > 0);
    for (let i = 0; i < 10; i++) account.sawDevice(clock.monotonic());
    assert.equal(account.enter(400, clock.monotonic()), 0);
    account.leave();
    account.leave();
    await clock.advance(3 * DAY);
    assert.equal(account.enter(100, clock.monotonic()), 0);
    assert.ok(account.enter(50, clock.monotonic()) > 0);
  });

  test('requests running at once are limited', () => {
    const { subscribers } = setUp();
    const account = subscribers.establish('a');
    assert.equal(account.enter(1, 0), 0);
    assert.equal(account.enter(1, 0), 0);
    assert.equal(account.enter(1, 0), 1);
    account.leave();
    assert.equal(account.enter(1, 0), 0);
  });

  test('when full, the one that asked longest ago is forgotten, but never a busy one', () => {
    const { subscribers } = setUp();
    subscribers.establish('a').enter(1, 0);
    const b = subscribers.establish('b');
    subscribers.account('b');
    subscribers.establish('c');
    assert.notEqual(subscribers.account('b'), b);
    assert.ok(subscribers.account('a').established);
    subscribers.account('c').enter(1, 0);
    assert.equal(subscribers.establish('d').established, false, 'both busy: it stays a newcomer');
  });
});
