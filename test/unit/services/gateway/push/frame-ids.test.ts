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

const nobody = (): void => {};

describe('frame ids', () => {
  test('a running one is waited for, a finished one gets the same again', () => {
    const ids = new FrameIds(10);
    const [a, b, c] = [collect(), collect(), collect()];
    assert.equal(ids.find('x', 0), undefined);
    const frame = ids.begin('x', a.sink, 0);
    ids.find('x', 1)!.join(b.sink);
    frame.finish(LATER);
    frame.finish(ACCEPTED);
    ids.find('x', 2)!.join(c.sink);
    assert.deepEqual([a.got, b.got, c.got], [[LATER], [LATER], [LATER]]);
  });

  test('is forgotten after ten minutes', () => {
    const ids = new FrameIds(10);
    ids.begin('x', nobody, 0).finish(ACCEPTED);
    assert.notEqual(ids.find('x', 599_999), undefined);
    assert.equal(ids.find('x', 600_000), undefined);
    const running = ids.begin('x', nobody, 600_000);
    ids.begin('y', nobody, 2_000_000);
    assert.equal(ids.size, 2, 'x is running and stays');
    running.finish(ACCEPTED);
    ids.begin('z', nobody, 2_000_001);
    assert.deepEqual(
      ['x', 'y', 'z'].map((key) => ids.find(key, 2_000_001) !== undefined),
      [false, true, true],
    );
    assert.equal(ids.size, 2);
  });

  test('one that runs for longer than that ends for those that waited, not for the one that came after it', () => {
    const ids = new FrameIds(10);
    const [a, b] = [collect(), collect()];
    const first = ids.begin('x', a.sink, 0);
    assert.equal(ids.find('x', 600_000), undefined);
    const second = ids.begin('x', b.sink, 600_000);
    first.finish(LATER);
    assert.deepEqual([a.got, b.got], [[LATER], []]);
    second.finish(ACCEPTED);
    assert.deepEqual([a.got, b.got], [[LATER], [ACCEPTED]]);
  });

  test('when full, the oldest finished ones are forgotten', () => {
    const ids = new FrameIds(3);
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      const frame = ids.begin(key, nobody, 0);
      if (key !== 'a') frame.finish(ACCEPTED);
    }
    assert.ok(ids.size <= 3);
    assert.ok(ids.find('a', 0) && ids.find('e', 0) && !ids.find('b', 0));
  });

  test('no more than a few wait for one frame; the others are told to come later at once', () => {
    const ids = new FrameIds(3);
    const { got, sink } = collect();
    const frame = ids.begin('a', sink, 0);
    for (let i = 1; i < 20; i++) frame.join(sink);
    assert.deepEqual(got, new Array<Outcome>(12).fill(LATER));
    frame.finish(ACCEPTED);
    assert.deepEqual(got.slice(12), new Array<Outcome>(8).fill(ACCEPTED));
  });
});
