import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { capsOfShare, OWN_BUCKETS } from '../../../../../services/gateway/limits/caps.js';
import { callsOf, type Entry } from '../../../../../services/gateway/redis/calls.js';
import { decodeRecord, encodeRecord } from '../../../../../services/gateway/redis/record.js';
import { SeenToday } from '../../../../../services/gateway/redis/seen.js';
import { OUTCOMES, type Outcome } from '../../../../../shared/relay/batch.js';

const entry = (tag: string): Entry => ({ tag, keys: [tag], args: [] });

describe('calls', () => {
  test('go out 64 entries at a time', () => {
    const sizes = callsOf(
      Array.from({ length: 256 }, (_, i) => entry(`${i}`)),
      false,
    ).map(({ length }) => length);
    assert.deepEqual(sizes, [64, 64, 64, 64]);
  });

  test('in a cluster are one for each device', () => {
    const calls = callsOf(['a', 'b', 'a', 'c', 'a'].map(entry), true);
    assert.deepEqual(
      calls.map((call) => call.map(({ tag }) => tag).join('')),
      ['aaa', 'b', 'c'],
    );
  });
});

describe('records', () => {
  test('every outcome comes back', () => {
    for (const [kind, reasons] of Object.entries(OUTCOMES)) {
      for (const reason of reasons) {
        const outcome = { kind, reason, after: kind === 'later' ? 300 : 0 } as Outcome;
        assert.deepEqual(decodeRecord(encodeRecord(outcome)), outcome);
      }
    }
  });

  test('waits are rounded up to those that a subscriber may know', () => {
    assert.deepEqual(decodeRecord('later budget 901'), { kind: 'later', reason: 'budget', after: 1200 });
  });

  for (const text of [
    '',
    'running',
    'accepted',
    'accepted budget 0',
    'later budget',
    'later budget x',
    'toString a 0',
  ]) {
    test(`“${text}” is none`, () => assert.equal(decodeRecord(text), undefined));
  }
});

describe('what was seen today', () => {
  test('are new once a day, and no more than there is room for', () => {
    const seen = new SeenToday(2);
    assert.deepEqual(
      ['a', 'a', 'b', 'c'].map((key) => seen.add(key, 1)),
      [true, false, true, false],
    );
    assert.deepEqual([seen.has('a', 1), seen.has('c', 1), seen.has('a', 2)], [true, false, false]);
    assert.equal(seen.add('c', 2), true);
    assert.equal(seen.add('a', 1), false, 'a clock that goes back changes nothing');
    assert.equal(seen.size, 1);
  });
});

describe('the share of one of several gateways', () => {
  test('is a part of each rate and burst, but one at once', () => {
    const { own } = capsOfShare(8);
    assert.deepEqual(own.check[0]?.limit, { periodMs: 8 * OWN_BUCKETS.check[0]!.limit.periodMs, burst: 1 });
    assert.equal(own.message[0]?.limit.burst, 7);
    assert.deepEqual(capsOfShare(1).own, OWN_BUCKETS);
  });
});
