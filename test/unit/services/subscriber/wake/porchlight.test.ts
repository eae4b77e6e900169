import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { App } from '../../../../../services/gateway/apps.js';
import type { OpenCapability } from '../../../../../services/gateway/capabilities/capability.js';
import { renderPush } from '../../../../../services/gateway/push/rendering.js';
import { createPorchlightProfile } from '../../../../../services/gateway/render/porchlight.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { messageKey } from '../../../../../shared/push/keys.js';
import type { Frame } from '../../../../../shared/relay/batch.js';
import { seconds } from '../../../../../shared/run/clock.js';
import { naclCrypto } from '../../../../../shared/sdk/nacl.js';
import { openPorchlightPush } from '../../../../../shared/sdk/porchlight.js';
import { ACCEPTED, later, UNAVAILABLE } from '../../../../support/fake-link.js';
import { registration } from '../../../../support/registry.js';
import { type WakeRigOptions, wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const porchlight = ({ style, ...options }: WakeRigOptions = {}) =>
  wakeRig(crypto, { ...options, style: { profile: 'porchlight', ...style } });

test('a push names subscriptions, in the order of receipt, with what the server said', async () => {
  const rig = porchlight();
  const device = await rig.active(1);
  const nonce = crypto.randomBytes(24);
  const metadata = crypto.randomBytes(144);
  rig.engine.signal(device, 7, nonce, metadata);
  const { frame } = rig.link.sent[0]!;
  assert.deepEqual([frame.kind, frame.urgent, frame.slot], ['message', true, 0]);
  const { entries, time, ...header } = rig.push(device, frame);
  assert.equal(time, seconds(rig.clock));
  const { epoch } = header;
  assert.deepEqual(header, { overflow: false, maybeMissed: false, check: false, epoch, sequence: 1 });
  const id = new Uint8Array(24).fill(7);
  assert.deepEqual(entries, [
    { subscriptionId: id, sequence: 1, class: 'message', time, sealed: { nonce, metadata } },
  ]);
});

test('metadata of another length: the entry without it', async () => {
  const rig = porchlight();
  const device = await rig.active(1);
  rig.link.setAvailable(false);
  for (const [ref, size] of [0, 143, 144, 145, 200].entries()) {
    rig.engine.signal(device, ref, crypto.randomBytes(24), new Uint8Array(size));
  }
  rig.link.setAvailable(true);
  await rig.clock.advance(0);
  const { entries } = rig.push(device, rig.link.sent[0]!.frame);
  assert.deepEqual(
    entries.map(({ sealed }) => sealed !== undefined),
    [false, false, true, false, false],
  );
});

test('all fourteen ride in one push', async () => {
  const rig = porchlight();
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.link.setAvailable(false);
  const refs = Array.from({ length: 14 }, (_, ref) => ref);
  rig.signal(device, ...refs);
  rig.link.setAvailable(true);
  await rig.clock.advance(HOUR);
  assert.equal(rig.link.sent.length, 1);
  assert.deepEqual(rig.opened(device, rig.link.sent[0]!.frame), refs);
});

test('each push with new content has the next number; entries keep that of their first', async () => {
  const rig = porchlight();
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  for (const ref of [1, 2, 1]) {
    rig.signal(device, ref);
    await rig.clock.advance(MINUTE);
  }
  const pushes = rig.link.sent.map(({ frame }) => rig.push(device, frame));
  assert.deepEqual(
    pushes.map(({ sequence, entries }) => [
      sequence,
      ...entries.map((e) => [e.subscriptionId[0], e.sequence]),
    ]),
    [
      [1, [1, 1]],
      [2, [1, 1], [2, 2]],
      [3, [2, 2], [1, 3]],
    ],
  );
  assert.equal(new Set(pushes.map(({ epoch }) => epoch)).size, 1);
});

test('a push that failed keeps its number when it is sent again, unless something came since', async () => {
  const rig = porchlight({ style: { coalesceMs: 0 } });
  const device = await rig.active(1);
  const numbers = () => rig.link.sent.map(({ frame }) => rig.push(device, frame).sequence);
  rig.signal(device, 1);
  rig.link.sent[0]!.answer(later(60));
  await rig.clock.advance(MINUTE);
  assert.deepEqual(numbers(), [1, 1]);
  rig.link.sent[1]!.answer(UNAVAILABLE);
  rig.signal(device, 2);
  await rig.clock.advance(MINUTE);
  assert.deepEqual(numbers(), [1, 1, 2], 'a signal while it failed');
  rig.link.sent[2]!.answer(later(60));
  await rig.clock.advance(0);
  rig.engine.maybeMissed(device);
  await rig.clock.advance(MINUTE);
  assert.deepEqual(numbers(), [1, 1, 2, 3], 'a flag');
  const { entries } = rig.push(device, rig.link.sent[3]!.frame);
  assert.deepEqual(
    entries.map(({ sequence }) => sequence),
    [1, 2],
    'numbers of the first pushes, whatever became of them',
  );
});

test('another registration has another epoch, and numbers from 1', async () => {
  const rig = porchlight();
  const epochs = new Set<number>();
  for (let n = 1; n <= 8; n++) {
    const device = await rig.active(n);
    rig.signal(device, n);
    const { epoch, sequence } = rig.push(device, rig.link.sent[0]!.frame);
    assert.equal(sequence, 1);
    epochs.add(epoch);
    rig.registry.remove(device);
  }
  assert.ok(epochs.size > 1);
});

test('flags ride on any earlier push, and are told once', async () => {
  const rig = porchlight({ chance: 0.5 });
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.engine.maybeMissed(device);
  await rig.clock.advance(5 * MINUTE);
  rig.signal(device, 1);
  await rig.clock.advance(HOUR);
  rig.signal(device, 2);
  await rig.clock.advance(HOUR);
  const flags = rig.link.sent.map(({ frame }) => rig.push(device, frame).maybeMissed);
  assert.deepEqual(flags, [true, false]);
});

test('with nothing else to tell, a flag goes silently within twenty minutes, behind what was told before', async () => {
  const rig = porchlight({ chance: 0.5 });
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.signal(device, 9);
  await rig.clock.advance(MINUTE);
  rig.engine.maybeMissed(device);
  await rig.clock.advance(10 * MINUTE - 1);
  assert.equal(rig.link.sent.length, 1);
  await rig.clock.advance(1);
  const { frame } = rig.link.sent[1]!;
  assert.deepEqual([frame.kind, frame.urgent, frame.slot], ['message', false, 1]);
  const { maybeMissed, overflow, check, entries, sequence } = rig.push(device, frame);
  assert.deepEqual([maybeMissed, overflow, check, entries.length, sequence], [true, false, false, 1, 2]);
});

test('a full mailbox is told as overflow', async () => {
  const rig = porchlight({ mailboxEntries: 1 });
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.signal(device, 1, 2);
  await rig.clock.advance(HOUR);
  const flags = rig.link.sent.map(({ frame }) => rig.push(device, frame).overflow);
  assert.deepEqual(flags, [false, true]);
});

test('a flag of a push that failed is told by the next', async () => {
  const rig = porchlight();
  const device = await rig.active(1);
  rig.engine.maybeMissed(device);
  rig.signal(device, 1);
  rig.link.sent[0]!.answer(later(60));
  rig.link.rule = () => ACCEPTED;
  await rig.clock.advance(HOUR);
  assert.deepEqual(
    rig.link.sent.map(({ frame }) => rig.push(device, frame).maybeMissed),
    [true, true],
  );
});

test('periodic wake-ups are boxed and silent; news that waits for a banner does not ride along', async () => {
  const rig = porchlight({ chance: 0.5 });
  const device = await rig.active(1);
  await rig.clock.advance(20 * MINUTE); // a verification push wakes as well
  rig.registry.setCheckMinutes(device, 20);
  rig.engine.checksChanged(device);
  rig.link.rule = (frame) => (frame.urgent ? later(3600) : ACCEPTED);
  rig.signal(device, 1);
  await rig.clock.advance(10 * MINUTE);
  const [message, wakeUp] = rig.link.sent.map(({ frame }) => rig.push(device, frame));
  assert.deepEqual([message!.check, message!.entries.length], [false, 1]);
  assert.deepEqual([wakeUp!.check, wakeUp!.entries.length, wakeUp!.sequence], [true, 0, 2]);
  await rig.clock.advance(HOUR);
  const again = rig.link.sent.map(({ frame }) => rig.push(device, frame)).filter(({ check }) => !check);
  assert.deepEqual(
    again.at(-1)!.entries.map(({ sequence }) => sequence),
    [1],
  );
});

test('an update is told silently and says what it is', async () => {
  const rig = porchlight({ style: { class: 'update' } });
  const device = await rig.active(1);
  rig.signal(device, 1);
  const { frame } = rig.link.sent[0]!;
  assert.deepEqual([frame.kind, frame.urgent], ['message', false]);
  assert.equal(rig.push(device, frame).entries[0]!.class, 'update');
});

/** The push of a frame as the phone's system hands it to the app. */
function atPhone(frame: Frame, code = new Uint8Array(32)): unknown {
  const app: App = {
    topic: 'chat.example',
    environments: ['production'],
    profileName: 'porchlight',
    profile: createPorchlightProfile({ visible_text: 'Something waits' }),
    hasOneSubscriber: false,
  };
  const held = { environment: 'production', proven: true, provenAt: 5, token: new Uint8Array(3) };
  const push = renderPush(crypto, frame, held as OpenCapability, app, () => code, 1_800_000_000);
  return JSON.parse(Buffer.from(push.body).toString());
}

test('subscriber, gateway and phone agree on every kind of push', async () => {
  const rig = porchlight({ chance: 0 });
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  const open = (frame: Frame) => openPorchlightPush(naclCrypto, device.dhSecret, atPhone(frame));
  rig.signal(device, 3);
  const opened = open(rig.link.sent[0]!.frame);
  assert.ok(opened.kind === 'push' && opened.push.entries[0]!.subscriptionId[0] === 3);
  await rig.clock.advance(HOUR);
  rig.engine.maybeMissed(device);
  await rig.clock.advance(0);
  const silent = open(rig.link.sent[1]!.frame);
  assert.ok(silent.kind === 'push' && silent.push.maybeMissed);
});

test('the key in a verification frame opens at the phone and is of no use for messages', async () => {
  const rig = porchlight();
  const device = rig.registry.register(registration(1, 1))!;
  rig.engine.verify(device);
  await rig.clock.advance(0);
  const { frame } = rig.link.sent[0]!;
  const m = frame.payload.slice(0, 32);
  const code = crypto.randomBytes(32);
  const opened = openPorchlightPush(naclCrypto, device.dhSecret, atPhone(frame, code.slice()));
  assert.deepEqual(opened, { kind: 'verification', code });
  const ofMessages = crypto.hsalsa20(messageKey(crypto, device.dhSecret), frame.nonce.slice(0, 16));
  assert.notDeepEqual(m, ofMessages);
});
