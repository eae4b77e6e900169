import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FrameIds } from '../../../../../services/gateway/push/frame-ids.js';
import type { Outcome } from '../../../../../shared/relay/batch.js';

const ACCEPTED: Outcome = { kind: 'accepted', reason: 'none', after: 0 };
const LATER: Outcome = { kind: 'later', reason: 'load', after: 60 };

const collect = (): { got: Outcome[]; sink: (outcome: Outcome) => void } => {
  const got: Outcome[] = [];
  return { got, sink: (outcome) => void got.push(outcome) };
};

describe('frame ids', () => {
  test('a running one is waited for, a finished one gets the same again', () => {
    const ids = new FrameIds(10);
    const [a, b, c] = [collect(), collect(), collect()];
    assert.equal(ids.begin('x', a.sink, 0), true);
    assert.equal(ids.begin('x', b.sink, 1), false);
    ids.finish('x', LATER);
    ids.finish('x', ACCEPTED);
    assert.equal(ids.begin('x', c.sink, 2), false);
    assert.deepEqual([a.got, b.got, c.got], [[LATER], [LATER], [LATER]]);
  });

  test('is forgotten after ten minutes', () => {
    const ids = new FrameIds(10);
    ids.begin('x', () => {}, 0);
    ids.finish('x', ACCEPTED);
    assert.equal(
      ids.begin('x', () => {}, 599_999),
      false,
    );
    assert.equal(
      ids.begin('x', () => {}, 600_000),
      true,
    );
    ids.begin('y', () => {}, 2_000_000);
    assert.equal(ids.size, 2, 'x is running and stays');
    ids.finish('x', ACCEPTED);
    ids.begin('z', () => {}, 2_000_001);
    assert.deepEqual([ids.has('x'), ids.has('y'), ids.has('z')], [false, true, true]);
  });

  test('when full, the oldest finished ones are forgotten', () => {
    const ids = new FrameIds(3);
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      ids.begin(key, () => {}, 0);
      if (key !== 'a') ids.finish(key, ACCEPTED);
    }
    assert.ok(ids.size <= 3);
    assert.ok(ids.has('a') && ids.has('e') && !ids.has('b'));
  });

  test('no more than a few wait for one frame; the others are told to come later at once', () => {
    const ids = new FrameIds(3);
    const { got, sink } = collect();
    for (let i = 0; i < 20; i++) ids.begin('a', sink, 0);
    assert.deepEqual(got, new Array<Outcome>(12).fill(LATER));
    ids.finish('a', ACCEPTED);
    assert.deepEqual(got.slice(12), new Array<Outcome>(8).fill(ACCEPTED));
  });
});
