/** Chaos's own bookkeeping: what counts as told, and that what was not is found. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Accountant } from '../../chaos/accountant.js';
import { Random } from '../../chaos/random.js';
import { hopSequence, planRound } from '../../chaos/round.js';

describe('the accountant', () => {
  /** Two messages in one queue, read by their owner. */
  function twoSent(): Accountant {
    const accountant = new Accountant();
    accountant.sent('phone', 'queue', 1);
    accountant.sent('phone', 'queue', 2);
    accountant.read('queue', 'first', 1);
    accountant.read('queue', 'second', 2);
    return accountant;
  }

  test('a message that no push spoke of is untold', () => {
    assert.deepEqual(twoSent().untold(), ['queue #1', 'queue #2']);
  });

  test('an entry tells its own message and those before it, not later ones', () => {
    const accountant = twoSent();
    accountant.sawEntry('queue', 'first');
    assert.deepEqual(accountant.untold(), ['queue #2']);
    accountant.sawEntry('queue', 'second');
    assert.deepEqual(accountant.untold(), []);
  });

  test('entries count whether they come before or after the owner read the queue', () => {
    const accountant = new Accountant();
    accountant.sawEntry('queue', 'id');
    accountant.sent('phone', 'queue', 1);
    assert.deepEqual(accountant.untold(), ['queue #1']);
    accountant.read('queue', 'id', 1);
    assert.deepEqual(accountant.untold(), []);
  });

  test('a check tells everything sent before it to that phone, and nothing else', () => {
    const accountant = twoSent();
    accountant.sent('other', 'another queue', 3);
    accountant.sawCheck('phone');
    accountant.sent('phone', 'queue', 4);
    assert.deepEqual(accountant.untold(), ['another queue #3', 'queue #4']);
  });

  test('an entry of another queue, or of a message that nobody sent, tells nothing', () => {
    const accountant = twoSent();
    accountant.sawEntry('another queue', 'second');
    accountant.sawEntry('queue', 'unknown');
    assert.equal(accountant.untold().length, 2);
  });

  test('of a message that was sent twice the first one has to be told', () => {
    const accountant = new Accountant();
    accountant.sent('phone', 'queue', 1);
    accountant.read('queue', 'first', 1);
    accountant.read('queue', 'again', 1);
    accountant.sawEntry('queue', 'first');
    assert.deepEqual(accountant.untold(), []);
  });

  test('counts over rounds', () => {
    const accountant = twoSent();
    accountant.sawEntry('queue', 'first');
    accountant.sawCheck('phone');
    accountant.close();
    accountant.sent('phone', 'queue', 3);
    assert.deepEqual(accountant.total(), { sent: 3, byEntry: 1, byCheck: 1 });
  });
});

describe('plans', () => {
  const plan = (seed: number) => planRound(new Random(seed), 12);

  test('the same seed plans the same round', () => {
    assert.equal(hopSequence(plan(5)), hopSequence(plan(5)));
    assert.deepEqual(plan(5).messages, plan(5).messages);
  });

  test('different seeds reach every hop', () => {
    const words = Array.from({ length: 400 }, (_, seed) => hopSequence(plan(seed))).join();
    const hops = ['messaging server:', 'messaging server – subscriber:', 'subscriber – gateway:', 'gateway:'];
    for (const hop of [...hops, 'gateway – Apple:', 'Apple:', 'subscriber:', 'phone – subscriber:'])
      assert.ok(words.includes(hop), hop);
  });

  test('no server crashes while nobody follows its queues yet', () => {
    const plans = Array.from({ length: 2_000 }, (_, seed) => plan(seed)).filter(({ opening }) => opening);
    assert.ok(plans.length > 50);
    for (const { faults } of plans) assert.ok(!faults.some(({ fault }) => fault.losesUnfollowed));
  });
});
