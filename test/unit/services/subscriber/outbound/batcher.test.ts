import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  Batcher,
  type BatcherLimits,
  type RequestResult,
} from '../../../../../services/subscriber/outbound/batcher.js';
import { linkMetrics } from '../../../../../services/subscriber/outbound/metrics.js';
import type { Frame, Outcome } from '../../../../../shared/relay/batch.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { Metrics } from '../../../../../shared/run/metrics.js';
import { makeFrame } from '../../../../support/frames.js';

const accepted: Outcome = { kind: 'accepted', reason: 'none', after: 0 };

interface Request {
  readonly frames: readonly Frame[];
  readonly answer: (index: number, outcome: Outcome) => void;
  readonly end: (result: RequestResult) => void;
}

/** A batcher whose requests the test answers by hand. */
function rig(limits: Partial<BatcherLimits> = {}) {
  const clock = new VirtualClock();
  const requests: Request[] = [];
  const downs: number[] = [];
  const batcher = new Batcher({
    send: (frames, answer) => new Promise((end) => requests.push({ frames, answer, end })),
    clock,
    metrics: new Metrics('test_').add(linkMetrics),
    random: () => 0.5,
    onDown: () => downs.push(clock.now()),
    limits,
  });
  batcher.resume();
  const frames = (n: number): Frame[] => Array.from({ length: n }, () => makeFrame());
  const answerAll = (request: Request): void => {
    for (const i of request.frames.keys()) request.answer(i, accepted);
    request.end({ kind: 'done' });
  };
  return { clock, requests, downs, batcher, frames, answerAll, settle: () => clock.advance(0) };
}

describe('batcher', () => {
  test('an idle line sends a frame at once, without any timer', async () => {
    const { batcher, requests, clock, frames } = rig();
    void batcher.push(frames(1)[0]!);
    await Promise.resolve();
    assert.equal(requests.length, 1);
    assert.equal(clock.now(), new VirtualClock().now());
  });

  test('while the lanes are busy frames gather and leave together, 256 at most', async () => {
    const { batcher, requests, frames, answerAll, settle } = rig({ busy: 1, stragglerMs: 1e9 });
    void batcher.push(frames(1)[0]!);
    await settle();
    for (const frame of frames(300)) void batcher.push(frame);
    await settle();
    assert.deepEqual(
      requests.map((r) => r.frames.length),
      [1],
    );
    answerAll(requests[0]!);
    await settle();
    answerAll(requests[1]!);
    await settle();
    assert.deepEqual(
      requests.map((r) => r.frames.length),
      [1, 256, 44],
    );
  });

  test('an outcome is there before its request ends', async () => {
    const { batcher, requests, frames, settle } = rig();
    const [a, b] = frames(2);
    const first = batcher.push(a!);
    void batcher.push(b!);
    await settle();
    requests[0]!.answer(0, accepted);
    assert.deepEqual(await first, accepted);
  });

  test('a straggling request holds nobody up, within the limit of open ones', async () => {
    const { batcher, requests, frames, clock } = rig({ busy: 1, open: 2 });
    for (const frame of frames(3)) {
      void batcher.push(frame);
      await clock.advance(1000);
    }
    assert.equal(requests.length, 2);
  });

  test('only frames without an answer are sent again, with the same bytes, before newer ones', async () => {
    const { batcher, requests, frames, settle } = rig({ busy: 1 });
    const [a, b, c] = frames(3);
    const outcomes = [batcher.push(a!), batcher.push(b!)];
    await settle();
    void batcher.push(c!);
    requests[0]!.answer(1, accepted);
    requests[0]!.end({ kind: 'no-answer' });
    await settle();
    assert.deepEqual(requests[1]!.frames, [a, c]);
    requests[1]!.answer(0, accepted);
    assert.deepEqual(await Promise.all(outcomes), [accepted, accepted]);
  });

  test('an answer that ends early counts as no answer for the rest', async () => {
    const { batcher, requests, frames, settle } = rig();
    const [a] = frames(1);
    void batcher.push(a!);
    await settle();
    requests[0]!.end({ kind: 'done' });
    await settle();
    assert.deepEqual(requests[1]!.frames, [a]);
  });

  test('after the last repeat: unavailable, down once, and everything that waits too', async () => {
    const { batcher, requests, frames, clock, downs } = rig({ attempts: 3, busy: 1, stragglerMs: 1e9 });
    const outcomes = frames(2).map((frame) => batcher.push(frame));
    for (let i = 0; i < 3; i++) {
      await clock.advance(5000);
      if (i === 1) outcomes.push(batcher.push(makeFrame()));
      requests[i]!.end({ kind: 'no-answer' });
    }
    const kinds = (await Promise.all(outcomes)).map((outcome) => outcome.kind);
    assert.deepEqual(kinds, ['unavailable', 'unavailable', 'unavailable']);
    assert.equal(downs.length, 1);
    assert.equal(requests.length, 3);
    assert.equal((await batcher.push(makeFrame())).kind, 'unavailable');
  });

  test('repeats back off: the second waits', async () => {
    const { batcher, requests, frames, clock, settle } = rig({ repeatMinMs: 1000 });
    void batcher.push(frames(1)[0]!);
    await settle();
    requests[0]!.end({ kind: 'no-answer' });
    await settle();
    requests[1]!.end({ kind: 'no-answer' });
    await clock.advance(700);
    assert.equal(requests.length, 2);
    await clock.advance(100);
    assert.equal(requests.length, 3);
  });

  test('a whole-request 429 is later for its open frames; 503 is unavailable', async () => {
    const { batcher, requests, frames, settle, downs } = rig({ busy: 1 });
    const [a, b, c] = frames(3).map((frame) => batcher.push(frame));
    await settle();
    requests[0]!.answer(0, accepted);
    requests[0]!.end({ kind: 'later', after: 300 });
    assert.deepEqual(await a, accepted);
    assert.deepEqual(await b, { kind: 'later', reason: 'load', after: 300 });
    assert.deepEqual(await c, { kind: 'later', reason: 'load', after: 300 });
    assert.equal(downs.length, 0);
    const d = batcher.push(makeFrame());
    await settle();
    requests[1]!.end({ kind: 'unavailable' });
    assert.equal((await d).kind, 'unavailable');
    assert.equal(downs.length, 1);
  });

  test('who sees unavailable finds the link down already', async () => {
    const { batcher, requests, frames, settle, downs } = rig();
    const outcome = batcher.push(frames(1)[0]!).then(() => downs.length);
    await settle();
    requests[0]!.answer(0, { kind: 'unavailable', reason: 'breaker-open', after: 0 });
    assert.equal(await outcome, 1);
  });

  test('a full queue says later at once; a malformed frame spoils no batch', async () => {
    const { batcher, frames, settle } = rig({ waiting: 2, busy: 0 });
    for (const frame of frames(2)) void batcher.push(frame);
    await settle();
    assert.deepEqual(await batcher.push(makeFrame()), { kind: 'later', reason: 'load', after: 60 });
    const bad = [{ payload: new Uint8Array(3) }, { expiry: 2 ** 32 }, { expiry: -1 }, { slot: 256 }];
    for (const changes of bad) {
      const outcome = await batcher.push(makeFrame(changes));
      assert.deepEqual(outcome, { kind: 'refused', reason: 'malformed', after: 0 });
    }
  });
});
