/** The random delay of a listener's signals: uniform, so that a signal is harder to link to its push. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { ACCEPTED, later } from '../../../../support/fake-link.js';
import { type WakeRigOptions, wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

async function delayed({ style, ...options }: WakeRigOptions) {
  const rig = wakeRig(crypto, { ...options, style: { delayMs: 10 * SECOND, ...style } });
  const device = await rig.active(1);
  const times: number[] = [];
  const start = rig.clock.monotonic();
  rig.link.rule = () => {
    times.push(rig.clock.monotonic() - start);
    return ACCEPTED;
  };
  return { ...rig, device, times };
}

for (const profile of ['simplex', 'porchlight'] as const) {
  for (const mode of ['mutable', 'background', 'alert'] as const) {
    for (const chance of [0, 0.25, 0.999]) {
      test(`${profile}, ${mode}: a signal waits for its part of the delay (${chance})`, async () => {
        const rig = await delayed({ chance, style: { profile, mode } });
        rig.signal(rig.device, 1);
        await rig.clock.advance(MINUTE);
        assert.deepEqual(rig.times, [Math.ceil(chance * 10 * SECOND)]);
      });
    }
  }
}

test('delays are uniform: as many pushes in each tenth of the time', async () => {
  let next = 0;
  const rig = await delayed({ random: () => (next++ % 100) / 100, style: { profile: 'porchlight' } });
  const waits: number[] = [];
  for (let n = 0; n < 100; n++) {
    const from = rig.clock.monotonic();
    const before = rig.link.sent.length;
    next = n;
    rig.signal(rig.device, n % 5);
    while (rig.link.sent.length === before) await rig.clock.advance(100);
    waits.push(rig.clock.monotonic() - from);
    await rig.clock.advance(MINUTE);
  }
  const tenths = Array.from({ length: 10 }, (_, i) =>
    waits.filter((w) => w > i * 1000 && w <= (i + 1) * 1000),
  );
  for (const tenth of tenths) assert.ok(tenth.length >= 9 && tenth.length <= 11);
});

test('signals meanwhile ride along; the next begins a delay of its own', async () => {
  let chance = 0.5;
  const rig = await delayed({ random: () => chance });
  rig.signal(rig.device, 1);
  await rig.clock.advance(4 * SECOND);
  chance = 0.9;
  rig.signal(rig.device, 2);
  await rig.clock.advance(SECOND);
  assert.deepEqual(rig.times, [5 * SECOND]);
  assert.deepEqual(rig.opened(rig.device, rig.link.sent[0]!.frame), [1, 2]);
  rig.signal(rig.device, 3);
  await rig.clock.advance(MINUTE);
  assert.deepEqual(rig.times, [5 * SECOND, 14 * SECOND]);
});

test('a signal while a push is under way has its own delay too', async () => {
  const rig = await delayed({ chance: 0.5 });
  rig.link.rule = undefined;
  rig.signal(rig.device, 1);
  await rig.clock.advance(5 * SECOND);
  rig.signal(rig.device, 2);
  rig.link.sent[0]!.answer(ACCEPTED);
  await rig.clock.advance(5 * SECOND - 1);
  assert.equal(rig.link.sent.length, 1);
  await rig.clock.advance(1);
  assert.equal(rig.link.sent.length, 2);
});

test('what did not fit, and what failed, does not wait again', async () => {
  const rig = await delayed({ chance: 0.5 });
  rig.signal(rig.device, 1, 2, 3, 4, 5, 6, 7, 8);
  await rig.clock.advance(5 * SECOND);
  assert.deepEqual(rig.times, [5 * SECOND, 5 * SECOND]);
  await rig.clock.advance(MINUTE);
  rig.link.rule = () => later(60);
  rig.signal(rig.device, 9);
  await rig.clock.advance(5 * SECOND);
  const before = rig.link.sent.length;
  rig.link.rule = () => ACCEPTED;
  await rig.clock.advance(MINUTE);
  assert.equal(rig.link.sent.length, before + 1);
});

test('when all that waited has been withdrawn, the next signal waits anew', async () => {
  const rig = await delayed({ chance: 0.5 });
  rig.signal(rig.device, 1);
  rig.engine.dropQueue(rig.device, 1);
  await rig.clock.advance(MINUTE);
  rig.signal(rig.device, 2);
  await rig.clock.advance(5 * SECOND - 1);
  assert.deepEqual(rig.times, []);
  await rig.clock.advance(1);
  assert.equal(rig.times.length, 1);
});

test('flags, wake-ups and verification have no delay', async () => {
  const rig = await delayed({ chance: 0, style: { delayMs: 300 * SECOND } });
  rig.engine.maybeMissed(rig.device);
  await rig.clock.advance(0);
  rig.engine.verify(rig.device);
  await rig.clock.advance(0);
  assert.deepEqual(rig.times, [0, 0]);
});
