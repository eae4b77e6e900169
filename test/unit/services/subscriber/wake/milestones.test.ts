/** What somebody who watches one queue sees of its signals, and the time until they are sealed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_WATCHES } from '../../../../../services/subscriber/wake/milestones.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { ACCEPTED, UNAVAILABLE } from '../../../../support/fake-link.js';
import { wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const SECOND = 1_000;

/** A rig with an active device, and what a watcher of queue 7 hears. */
async function watched() {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  const heard: string[] = [];
  const stop = rig.engine.watch(7, (milestone, reason) =>
    heard.push([milestone, reason ?? ''].join(' ').trim()),
  );
  assert.ok(stop);
  return { rig, device, heard, stop };
}

test('a signal passes one milestone after the other', async () => {
  const { rig, device, heard } = await watched();
  rig.signal(device, 7);
  assert.deepEqual(heard, ['received', 'queued', 'sealed', 'sent']);
  rig.link.sent[0]!.answer(ACCEPTED);
  await rig.clock.advance(0);
  assert.deepEqual(heard.slice(4), ['accepted']);
});

test('signals of other queues, and old ones that ride along as filler, pass unheard', async () => {
  const { rig, device, heard } = await watched();
  rig.link.rule = () => ACCEPTED;
  rig.signal(device, 7);
  await rig.clock.advance(0);
  heard.length = 0;
  rig.signal(device, 8);
  await rig.clock.advance(SECOND);
  assert.deepEqual(rig.opened(device, rig.link.sent[1]!.frame), [7, 8]);
  assert.deepEqual(heard, []);
});

test('what stops a signal is named, and it goes on where it can', async () => {
  const { rig, device, heard } = await watched();
  rig.link.setAvailable(false);
  rig.signal(device, 7);
  assert.deepEqual(heard, ['received', 'queued', 'stopped gateway-away']);
  heard.length = 0;
  rig.link.setAvailable(true);
  await rig.clock.advance(SECOND);
  rig.link.setAvailable(false);
  rig.link.sent[0]!.answer(UNAVAILABLE);
  await rig.clock.advance(0);
  assert.deepEqual(heard, ['sealed', 'sent', 'stopped unavailable', 'stopped gateway-away']);
  heard.length = 0;
  rig.link.rule = () => ACCEPTED;
  rig.link.setAvailable(true);
  await rig.clock.advance(SECOND);
  assert.deepEqual(heard, ['sealed', 'sent', 'accepted']);
});

test('a signal that comes while a push is in flight is told by the next one', async () => {
  const { rig, device, heard } = await watched();
  rig.signal(device, 8);
  rig.signal(device, 7);
  assert.deepEqual(heard, ['received', 'queued']);
  rig.link.sent[0]!.answer(ACCEPTED);
  await rig.clock.advance(0);
  assert.deepEqual(heard.slice(2), ['sealed', 'sent']);
});

test('a watch that was called off hears nothing; there are only so many, and one a queue', async () => {
  const { rig, device, heard, stop } = await watched();
  assert.equal(
    rig.engine.watch(7, () => {}),
    undefined,
  );
  stop();
  rig.signal(device, 7);
  assert.deepEqual(heard, []);
  for (let ref = 0; ref < MAX_WATCHES; ref++) assert.ok(rig.engine.watch(ref, () => {}));
  assert.equal(
    rig.engine.watch(MAX_WATCHES, () => {}),
    undefined,
  );
});

test('each push is timed once, by the oldest signal that it is the first to tell', async () => {
  const { rig, device } = await watched();
  rig.link.setAvailable(false);
  rig.signal(device, 7, 8);
  await rig.clock.advance(3 * SECOND);
  assert.equal(rig.wake.count('wake_seal_seconds'), 0);
  rig.link.setAvailable(true);
  await rig.clock.advance(SECOND);
  assert.equal(rig.link.sent.length, 1);
  assert.equal(rig.wake.count('wake_seal_seconds'), 1);
});
