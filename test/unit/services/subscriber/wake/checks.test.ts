import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { ACCEPTED, later } from '../../../../support/fake-link.js';
import { type WakeRig, wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const MINUTE = 60_000;

/** A device whose verification push was a while ago. */
async function checked(chance: number, minutes: number) {
  const rig = wakeRig(crypto, { chance });
  const device = await rig.active(1);
  await rig.clock.advance(20 * MINUTE);
  rig.link.rule = () => ACCEPTED;
  rig.registry.setCheckMinutes(device, minutes);
  rig.engine.checksChanged(device);
  return { ...rig, device };
}

/** Minutes after which checks were handed over. */
async function checkTimes(rig: WakeRig, minutes: number): Promise<number[]> {
  const times: number[] = [];
  for (let minute = 1; minute <= minutes; minute++) {
    const before = rig.link.count('check');
    await rig.clock.advance(MINUTE);
    for (let n = rig.link.count('check'); n > before; n--) times.push(minute);
  }
  return times;
}

test('periodic checks: the first spread over the interval, the next an interval after one was accepted', async () => {
  assert.deepEqual(await checkTimes(await checked(0.25, 20), 90), [5, 25, 45, 65, 85]);
  assert.deepEqual(await checkTimes(await checked(0.75, 60), 180), [45, 105, 165]);
});

test('a check is silent, empty and collapses', async () => {
  const rig = await checked(0, 20);
  await rig.clock.advance(0);
  const { frame } = rig.link.sent[0]!;
  assert.deepEqual([frame.kind, frame.urgent, frame.slot], ['check', false, 1]);
  assert.ok(frame.payload.every((byte) => byte === 0));
});

test('asking for the same interval again does not move the checks; 0 ends them', async () => {
  const rig = await checked(0.5, 20);
  await rig.clock.advance(5 * MINUTE);
  rig.engine.checksChanged(rig.device);
  assert.deepEqual(await checkTimes(rig, 10), [5]);
  rig.registry.setCheckMinutes(rig.device, 0);
  rig.engine.checksChanged(rig.device);
  assert.deepEqual(await checkTimes(rig, 100), []);
});

test('a check is left out where a push went in the last twenty minutes', async () => {
  const rig = await checked(0.5, 60);
  await rig.clock.advance(20 * MINUTE);
  rig.signal(rig.device, 1);
  assert.deepEqual(await checkTimes(rig, 100), [70]);
});

test('so is one after a verification push, which woke the app as well', async () => {
  const rig = wakeRig(crypto, { chance: 0.25 });
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.registry.setCheckMinutes(device, 20);
  rig.engine.checksChanged(device);
  assert.deepEqual(await checkTimes(rig, 70), [25, 45, 65]);
});

test('a check that was not accepted does not count', async () => {
  const rig = await checked(0.5, 60);
  rig.link.rule = () => later(300);
  await rig.clock.advance(30 * MINUTE);
  rig.link.rule = () => ACCEPTED;
  assert.deepEqual(await checkTimes(rig, 70), [5, 65]);
});

test('no checks unless active', async () => {
  const rig = await checked(0.5, 20);
  rig.registry.setStatus(rig.device, 'invalid', 'bad');
  assert.deepEqual(await checkTimes(rig, 60), []);
});

test('maybeMissed is told by one check, spread over twenty minutes', async () => {
  const rig = wakeRig(crypto, { chance: 0.5 });
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  for (let n = 0; n < 5; n++) rig.engine.maybeMissed(device);
  assert.deepEqual(await checkTimes(rig, 100), [10]);
});

test('maybeMissed rides on a periodic check that comes earlier', async () => {
  const rig = await checked(0.5, 20);
  await rig.clock.advance(5 * MINUTE);
  rig.engine.maybeMissed(rig.device);
  assert.deepEqual(await checkTimes(rig, 30), [5, 25]);
});

test('overflow is told by a check; one that fails is repeated, and silent ones stay twenty minutes apart', async () => {
  const rig = wakeRig(crypto, { chance: 0.1, mailboxEntries: 1 });
  const device = await rig.active(1);
  rig.link.rule = ({ kind }) => (kind === 'check' ? later(60) : ACCEPTED);
  rig.signal(device, 1, 2);
  assert.equal(rig.wake.count('wake_signals_total', 'lost'), 1);
  await rig.clock.advance(2 * MINUTE);
  assert.equal(rig.link.count('check'), 1);
  rig.link.rule = () => ACCEPTED;
  assert.deepEqual(await checkTimes(rig, 10), [1]);
  rig.engine.maybeMissed(device);
  assert.deepEqual(await checkTimes(rig, 100), [11]);
});

test('maybeMissed is told by the next check where the first was not accepted', async () => {
  const rig = wakeRig(crypto, { chance: 0 });
  const device = await rig.active(1);
  rig.link.rule = () => later(300);
  rig.engine.maybeMissed(device);
  await rig.clock.advance(0);
  assert.equal(rig.link.count('check'), 1);
  rig.link.rule = () => ACCEPTED;
  assert.deepEqual(await checkTimes(rig, 60), [5]);
});

test('a flag that is set while a check is under way is told by the next', async () => {
  const rig = wakeRig(crypto, { chance: 0 });
  const device = await rig.active(1);
  rig.engine.maybeMissed(device);
  rig.engine.maybeMissed(device);
  rig.link.rule = () => ACCEPTED;
  rig.link.sent[0]!.answer(ACCEPTED);
  assert.deepEqual(await checkTimes(rig, 60), [20]);
});
