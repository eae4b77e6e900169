import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayFacts } from '../../../../../services/subscriber/outbound/gateway-link.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { seconds } from '../../../../../shared/run/clock.js';
import { ACCEPTED, capability, later, UNAVAILABLE } from '../../../../support/fake-link.js';
import { registration } from '../../../../support/registry.js';
import { wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

test('the first signal goes at once, boxed for the phone, urgent and without a collapse id', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 7);
  const [{ frame }] = rig.link.sent as [(typeof rig.link.sent)[0]];
  assert.equal(frame.kind, 'message');
  assert.deepEqual([frame.urgent, frame.slot, frame.payload.length], [true, 0, 2928]);
  assert.deepEqual([...frame.capability], [...capability(2)], 'the proven one');
  assert.ok(frame.expiry > seconds(rig.clock));
  assert.deepEqual(rig.opened(device, frame), [7]);
});

test('a push ends by the clock of the gateway, which lets Apple keep it until then', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  const clockOffset = 30 * 24 * 3600;
  rig.link.facts = { clockOffset } as GatewayFacts;
  rig.signal(device, 7);
  assert.equal(rig.link.sent[0]!.frame.expiry, seconds(rig.clock) + clockOffset + 21 * 24 * 3600);
});

test('one push in flight: what arrives meanwhile rides in the next, when the last was accepted', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 1, 2, 3);
  assert.equal(rig.link.sent.length, 1);
  rig.link.sent[0]!.answer(ACCEPTED);
  await rig.clock.advance(0);
  assert.equal(rig.link.sent.length, 2);
  assert.deepEqual(rig.opened(device, rig.link.sent[1]!.frame), [1, 2, 3], 'the told one is filler');
  rig.link.sent[1]!.answer(ACCEPTED);
  await rig.clock.advance(HOUR);
  assert.equal(rig.link.sent.length, 2);
});

test('nine that waited go in two pushes: the oldest six, then the rest, each ending with an untold one', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.link.setAvailable(false);
  rig.signal(device, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  assert.equal(rig.link.sent.length, 0);
  rig.link.setAvailable(true);
  await rig.clock.advance(SECOND);
  const pushes = rig.link.sent.map(({ frame }) => rig.opened(device, frame));
  assert.deepEqual(pushes, [
    [1, 2, 3, 4, 5, 6],
    [4, 5, 6, 7, 8, 9],
  ]);
});

test('told entries are filler for an hour', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.signal(device, 1);
  await rig.clock.advance(59 * MINUTE);
  rig.signal(device, 2);
  await rig.clock.advance(MINUTE);
  rig.signal(device, 3);
  await rig.clock.advance(0);
  const pushes = rig.link.sent.map(({ frame }) => rig.opened(device, frame));
  assert.deepEqual(pushes, [[1], [1, 2], [2, 3]]);
  await rig.clock.advance(HOUR);
  assert.equal(rig.wake.count('wake_mailbox_entries'), 2);
});

test('inside the coalescing window signals wait and ride together', async () => {
  const rig = wakeRig(crypto, { style: { coalesceMs: 300 } });
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.signal(device, 1);
  await rig.clock.advance(100);
  rig.signal(device, 2, 3);
  await rig.clock.advance(199);
  assert.equal(rig.link.sent.length, 1);
  await rig.clock.advance(1);
  assert.deepEqual(rig.opened(device, rig.link.sent[1]!.frame), [1, 2, 3]);
});

test('sixty pushes at once, then one a second', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  for (let n = 0; n < 100; n++) {
    rig.signal(device, n % 10);
    await rig.clock.advance(0);
  }
  assert.equal(rig.link.sent.length, 60);
  for (let n = 1; n <= 3; n++) {
    await rig.clock.advance(SECOND);
    assert.equal(rig.link.sent.length, 60 + n);
    rig.signal(device, n);
  }
});

test('later keeps the mailbox, and a new signal does not shorten the wait', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 1);
  const before = rig.link.sent[0]!.frame;
  rig.link.sent[0]!.answer(later(300));
  await rig.clock.advance(4 * MINUTE);
  rig.signal(device, 2);
  await rig.clock.advance(MINUTE - 1);
  assert.equal(rig.link.sent.length, 1);
  await rig.clock.advance(1);
  const { frame } = rig.link.sent[1]!;
  assert.deepEqual(rig.opened(device, frame), [1, 2]);
  assert.notDeepEqual(frame.id, before.id);
  assert.notDeepEqual(frame.nonce, before.nonce);
});

test('an outcome that comes between a new token and its verification only counts', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 1);
  const tokenHash = new Uint8Array(32).fill(9);
  rig.registry.replaceToken(device, { tokenHash, environment: 'production' });
  rig.link.sent[0]!.answer({ kind: 'dead', reason: 'unregistered', after: 0 });
  await rig.clock.advance(0);
  assert.equal(device.status, 'registered');
});

test('an outcome of a token that was replaced only counts', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 1);
  const [old] = rig.link.sent;
  const tokenHash = new Uint8Array(32).fill(9);
  const sealedToken = new Uint8Array(229).fill(9);
  rig.registry.replaceToken(device, { tokenHash, environment: 'production', sealedToken });
  rig.engine.verify(device);
  old!.answer({ kind: 'dead', reason: 'unregistered', after: 0 });
  await rig.clock.advance(0);
  assert.equal(device.status, 'registered');
  assert.equal(rig.wake.count('wake_outdated_total'), 1);
  assert.deepEqual(rig.link.exchanged, [1, 9]);
  assert.equal(rig.link.count('verification'), 1);
});

test('an outcome for a device that is gone changes nothing of the next in its slot', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 1);
  rig.registry.remove(device);
  const next = await rig.active(2);
  assert.equal(next.slot, device.slot);
  rig.signal(next, 5);
  const [mine] = rig.link.sent;
  assert.deepEqual(rig.opened(next, mine!.frame), [5]);
  assert.equal(rig.wake.count('wake_mailbox_entries'), 1);
});

test('signals of a device not yet verified are kept and sent when it becomes active', async () => {
  const rig = wakeRig(crypto);
  const device = rig.registry.register(registration(1, 1))!;
  rig.link.rule = () => ACCEPTED;
  rig.link.judge = () => 'good';
  rig.engine.verify(device);
  rig.signal(device, 1, 2);
  await rig.clock.advance(MINUTE);
  rig.signal(device, 3);
  assert.equal(device.status, 'confirmed');
  assert.equal(rig.link.count('message'), 0);
  assert.equal(await rig.engine.prove(device, new Uint8Array(32)), 'proven');
  assert.deepEqual(rig.opened(device, rig.link.sent.at(-1)!.frame), [1, 2, 3]);
});

test('while the gateway is away devices wait without trying, then go on newest first', async () => {
  const rig = wakeRig(crypto);
  const devices = [await rig.active(1), await rig.active(2), await rig.active(3)];
  rig.signal(devices[0]!, 9);
  rig.link.setAvailable(false);
  rig.link.sent[0]!.answer(UNAVAILABLE);
  await rig.clock.advance(0);
  for (const [n, device] of devices.entries()) rig.signal(device, n);
  rig.signal(devices[0]!, 50);
  await rig.clock.advance(HOUR);
  assert.equal(rig.link.sent.length, 1);
  assert.equal(
    rig.wake.count('wake_stopped_total', 'gateway-away'),
    5,
    'once a signal and once for the push',
  );
  rig.link.setAvailable(true);
  await rig.clock.advance(0);
  const capabilities = rig.link.sent.slice(1).map(({ frame }) => frame.capability[0]);
  assert.deepEqual(capabilities, [2, 6, 4], 'the first device had the newest signal');
  assert.deepEqual(rig.opened(devices[0]!, rig.link.sent[1]!.frame), [9, 0, 50]);
});

test('a backlog is drained at a pace, and keeps waiting where the gateway goes away again', async () => {
  const rig = wakeRig(crypto);
  const devices = [];
  for (let n = 0; n < 250; n++) devices.push(await rig.active(n));
  rig.link.setAvailable(false);
  for (const device of devices) rig.signal(device, 1);
  const sent = async (ms: number) => {
    await rig.clock.advance(ms);
    return rig.link.sent.length;
  };
  assert.equal(rig.wake.count('wake_waiting_devices'), 250);
  rig.link.setAvailable(true);
  assert.equal(await sent(0), 100);
  assert.equal(await sent(50), 200);
  assert.equal(rig.wake.count('wake_waiting_devices'), 50);
  rig.link.setAvailable(false);
  assert.equal(await sent(MINUTE), 200);
  rig.link.setAvailable(true);
  assert.equal(await sent(0), 250);
  assert.equal(rig.wake.count('wake_waiting_devices'), 0);
});

test('what is too long for one push goes in several; what fits none is told by a check', async () => {
  const long = new Map([
    [1, 'h'.repeat(1300)],
    [2, 'h'.repeat(1300)],
    [3, 'h'.repeat(3000)],
  ]);
  const rig = wakeRig(crypto, { host: (ref) => long.get(ref) ?? 'smp.example' });
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.link.setAvailable(false);
  rig.signal(device, 1, 2, 3, 4);
  rig.link.setAvailable(true);
  await rig.clock.advance(SECOND);
  const pushes = rig.link.sent.map(({ frame }) => rig.opened(device, frame));
  assert.deepEqual(pushes, [[1], [2], [2, 4]]);
  assert.equal(rig.wake.count('wake_unsendable_total'), 1);
  await rig.clock.advance(20 * MINUTE);
  assert.equal(rig.link.count('check'), 1);
});

test('no `later` is longer than an hour, whatever a gateway says', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 1);
  rig.link.sent[0]!.answer(later(0xffff_ffff));
  await rig.clock.advance(HOUR - SECOND);
  assert.equal(rig.link.sent.length, 1);
  await rig.clock.advance(SECOND);
  assert.equal(rig.link.sent.length, 2);
});

test('the key of a verification box is overwritten once the push has its outcome', async () => {
  const rig = wakeRig(crypto);
  const payloads: Uint8Array[] = [];
  const push = rig.link.push.bind(rig.link);
  rig.link.push = (frame) => {
    payloads.push(frame.payload);
    return push(frame);
  };
  await rig.active(1);
  await rig.clock.advance(0);
  assert.ok(payloads.length > 0);
  for (const payload of payloads) assert.ok(payload.every((byte) => byte === 0));
});
