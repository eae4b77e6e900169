/** Whatever the gateway does, every frame ends in exactly one outcome, and none is sent after its own answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Batcher, type RequestResult } from '../../services/subscriber/outbound/batcher.js';
import { linkMetrics } from '../../services/subscriber/outbound/metrics.js';
import { toHex } from '../../shared/encoding/bytes.js';
import { type Frame, MAX_FRAMES, type Outcome } from '../../shared/relay/batch.js';
import { VirtualClock } from '../../shared/run/clock.js';
import { Metrics } from '../../shared/run/metrics.js';
import { makeFrame } from '../support/frames.js';

interface Fault {
  /** Frames pushed before this request is answered. */
  readonly arrivals: number;
  /** Share of the frames that are answered before the request ends, in per cent, from the back. */
  readonly answered: number;
  readonly end: Exclude<RequestResult['kind'], 'refused'>;
}

const fault = fc.record<Fault>({
  arrivals: fc.nat(40),
  answered: fc.nat(100),
  end: fc.constantFrom('done', 'no-answer', 'no-answer', 'later', 'unavailable'),
});

const resultOf = (kind: Fault['end']): RequestResult => (kind === 'later' ? { kind, after: 60 } : { kind });

async function play(script: readonly Fault[]): Promise<void> {
  const clock = new VirtualClock();
  const told = new Set<string>();
  const outcomes = new Map<string, number>();
  const faults = [...script];
  let pushed = 0;
  let open = 0;
  const push = (): void => {
    const frame = makeFrame();
    pushed++;
    void batcher.push(frame).then(() => {
      const id = toHex(frame.id);
      outcomes.set(id, (outcomes.get(id) ?? 0) + 1);
    });
  };
  const send = async (
    frames: readonly Frame[],
    answer: (index: number, outcome: Outcome) => void,
  ): Promise<RequestResult> => {
    assert.ok(frames.length >= 1 && frames.length <= MAX_FRAMES);
    assert.equal(new Set(frames).size, frames.length);
    assert.ok(++open <= 3);
    for (const frame of frames) assert.ok(!told.has(toHex(frame.id)));
    const { arrivals, answered, end } = faults.shift() ?? { arrivals: 0, answered: 100, end: 'done' };
    for (let i = 0; i < arrivals; i++) push();
    await new Promise<void>((resolve) => clock.after(20, resolve));
    for (let i = frames.length - 1; i >= frames.length * (1 - answered / 100); i--) {
      told.add(toHex(frames[i]!.id));
      answer(i, { kind: 'accepted', reason: 'none', after: 0 });
    }
    open--;
    return resultOf(end);
  };
  const metrics = new Metrics('test_').add(linkMetrics);
  const onDown = (): void => void clock.after(500, () => batcher.resume());
  const limits = { busy: 2, open: 3, attempts: 3, stragglerMs: 10 };
  const batcher = new Batcher({ send, clock, metrics, random: () => 0.5, onDown, limits });
  batcher.resume();
  for (let i = 0; i < 5; i++) push();
  await clock.advance(60_000);
  assert.equal(outcomes.size, pushed);
  for (const times of outcomes.values()) assert.equal(times, 1);
  assert.equal(open, 0);
  assert.equal(clock.pending, 0);
}

test('every frame ends in one outcome under any faults', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 25 }), (script) => play(script)),
    { numRuns: process.env.SLOW ? 500 : 40 },
  );
});
