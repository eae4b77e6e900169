import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ApnsResult } from '../../../../../services/gateway/apns/engine.js';
import { Doubts } from '../../../../../services/gateway/push/doubts.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { crypto } from '../../../../support/apns/setup.js';

const ACCEPTED: ApnsResult = { kind: 'accepted' };
const BAD: ApnsResult = { kind: 'dead', reason: 'bad' };
const OPEN: ApnsResult = { kind: 'unavailable', reason: 'breaker-open' };
const LATER: ApnsResult = { kind: 'later', reason: 'provider', afterSeconds: 60 };
const TARGET = { topic: 'chat.example.app', environment: 'production' } as const;

function setUp(subscribers = 5) {
  const clock = new VirtualClock();
  const doubts = new Doubts({ crypto, clock, log: silentLog, subscribers: () => subscribers });
  /** One push to device `n` and Apple's answer to it. */
  const push = (n: number, result: ApnsResult, tag = 'a', more: object = {}): ApnsResult => {
    const given = { ...TARGET, token: Uint8Array.of(n >> 8, n), proven: true, ...more };
    const refusal = doubts.refusal(given);
    if (refusal !== undefined) return refusal;
    const permission = doubts.enter(given);
    return permission === 'stop' ? OPEN : doubts.judge(result, given, tag, permission);
  };
  return { clock, doubts, push };
}

describe('a proven device that Apple refuses', () => {
  test('is dead when it is refused again and others were accepted in between', async () => {
    const { clock, doubts, push } = setUp();
    push(2, ACCEPTED);
    assert.deepEqual(push(1, BAD), LATER);
    push(2, ACCEPTED);
    assert.deepEqual(push(1, BAD), LATER, 'it is not tried before');
    await clock.advance(60_000);
    assert.deepEqual(push(1, BAD), BAD);
    assert.equal(doubts.size, 0);
  });

  test('is not dead while nothing shows that the configuration is right, and waits longer each time', async () => {
    const { clock, push } = setUp();
    push(2, ACCEPTED);
    for (const seconds of [60, 300, 1200, 1200]) {
      assert.deepEqual(push(1, BAD), { ...LATER, afterSeconds: seconds });
      await clock.advance(seconds * 1000);
    }
  });

  test('is dead within a day on a gateway where nothing else is pushed', async () => {
    for (const hour of [0, 13, 20]) {
      const { clock, push } = setUp(1);
      push(2, ACCEPTED);
      await clock.advance(hour * 3_600_000);
      let minutes = 0;
      for (; minutes < 48 * 60 && push(1, BAD).kind === 'later'; minutes += 20)
        await clock.advance(20 * 60_000);
      assert.ok(minutes >= 12 * 60 && minutes <= 24 * 60, `begun at ${hour}: ${minutes} minutes`);
    }
  });

  test('is not dead where all devices are refused, of however many subscribers', async () => {
    for (const of of [1, 5]) {
      const { clock, push } = setUp(of);
      for (let minutes = 0; minutes < 3 * 24 * 60; minutes += 20) {
        for (let n = 0; n < 3; n++) assert.notEqual(push(n, BAD).kind, 'dead');
        await clock.advance(20 * 60_000);
      }
    }
  });

  test('is no longer doubted once it was accepted', () => {
    const { doubts, push } = setUp();
    push(1, { kind: 'dead', reason: 'topic' });
    assert.equal(doubts.size, 1);
    doubts.judge(ACCEPTED, { ...TARGET, token: Uint8Array.of(0, 1), proven: true }, 'a', 'pass');
    assert.equal(doubts.size, 0);
  });

  test('410 is believed at once: Apple names a time', () => {
    const { push } = setUp();
    const gone: ApnsResult = { kind: 'dead', reason: 'unregistered', at: 5 };
    assert.equal(push(1, gone), gone);
  });
});

describe('a jump in refusals', () => {
  test('of several subscribers opens the breaker; one push at a time probes, and an answer closes it', async () => {
    const { clock, doubts, push } = setUp();
    for (let n = 0; n < 5; n++) assert.deepEqual(push(n, BAD, n % 2 === 0 ? 'a' : 'b'), LATER);
    assert.deepEqual(push(5, BAD), OPEN);
    assert.ok(doubts.isOpen(TARGET));
    assert.equal(doubts.openBreakers, 1);
    assert.deepEqual(push(50, ACCEPTED), OPEN, 'nothing is sent');
    assert.deepEqual(push(51, ACCEPTED, 'x', { proven: false }), OPEN, 'nor first contacts');
    assert.deepEqual(push(52, ACCEPTED, 'x', { environment: 'sandbox' }), ACCEPTED, 'other targets go on');
    await clock.advance(30_000);
    assert.ok(!doubts.isOpen(TARGET));
    assert.deepEqual(push(51, ACCEPTED, 'x', { proven: false }), OPEN, 'a first contact is no probe');
    assert.deepEqual(push(60, BAD), OPEN, 'the probe fails');
    await clock.advance(59_000);
    assert.deepEqual(push(61, ACCEPTED), OPEN, 'for twice as long');
    await clock.advance(1_000);
    assert.deepEqual(push(0, ACCEPTED), ACCEPTED, 'a doubted device may probe');
    assert.deepEqual(push(1, ACCEPTED), ACCEPTED, 'and others need not wait for their time');
    assert.deepEqual(push(62, ACCEPTED), ACCEPTED);
    assert.equal(doubts.openBreakers, 0);
  });

  test('kills no token, however long it lasts', async () => {
    const { clock, push } = setUp();
    for (let n = 0; n < 30; n++) push(n, ACCEPTED, `${n % 3}`);
    for (let minute = 0; minute < 600; minute++) {
      for (let n = 0; n < 30; n++) assert.notEqual(push(n, BAD, `${n % 3}`).kind, 'dead');
      await clock.advance(60_000);
    }
    for (let n = 0; n < 30; n++) {
      await clock.advance(3_600_000);
      assert.equal(push(n, ACCEPTED, `${n % 3}`).kind, 'accepted');
    }
  });

  test('of one subscriber among several opens nothing, with however many devices', () => {
    const { doubts, push } = setUp();
    for (let n = 0; n < 500; n++) push(n, BAD, 'hostile');
    assert.equal(doubts.openBreakers, 0);
    assert.deepEqual(push(1000, ACCEPTED, 'honest'), ACCEPTED);
  });

  test('counts each device once an hour', () => {
    const { doubts } = setUp();
    for (let n = 0; n < 500; n++) {
      const token = Uint8Array.of(n % 5);
      doubts.judge(BAD, { ...TARGET, token, proven: true }, n % 2 === 0 ? 'a' : 'b', 'pass');
    }
    assert.equal(doubts.openBreakers, 0);
  });

  test('opens with three devices where the gateway has one subscriber only', () => {
    const { doubts, push } = setUp(1);
    push(1, BAD);
    push(2, BAD);
    assert.equal(doubts.openBreakers, 0);
    assert.deepEqual(push(3, BAD), OPEN);
  });

  test('does not come from a few among many accepted', () => {
    const { doubts, push } = setUp();
    for (let n = 0; n < 300; n++) push(n, n % 4 === 0 ? BAD : ACCEPTED, `${n % 3}`);
    assert.equal(doubts.openBreakers, 0);
  });
});

test('first contacts have no voice', () => {
  const { doubts, push } = setUp();
  for (let n = 0; n < 200; n++) assert.deepEqual(push(n, BAD, `${n}`, { proven: false }), BAD);
  assert.equal(doubts.openBreakers, 0);
  assert.equal(doubts.size, 0);
});

test('what is remembered of devices is hashes under a key that changes daily, in bounded number', async () => {
  const { clock, doubts, push } = setUp();
  for (let n = 0; n < 20_000; n++) push(n, BAD, 'a');
  assert.equal(doubts.size, 10_000);
  await clock.advance(24 * 3_600_000);
  push(1, BAD);
  assert.equal(doubts.size, 1);
});
