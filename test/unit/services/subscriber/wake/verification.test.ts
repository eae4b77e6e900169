import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayRefusal } from '../../../../../services/subscriber/outbound/gateway-link.js';
import { cbDecrypt, pad } from '../../../../../shared/crypto/box.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import type { Frame, Outcome } from '../../../../../shared/relay/batch.js';
import { ACCEPTED, capability, later } from '../../../../support/fake-link.js';
import { registration } from '../../../../support/registry.js';
import { CODE, type WakeRig, wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const sealed = (name: number) => new Uint8Array(229).fill(name);
const refused = (reason: 'expired' | 'unknown-key' | 'revoked'): Outcome => ({
  kind: 'refused',
  reason,
  after: 0,
});

function registered(rig: WakeRig, token = 1) {
  const device = rig.registry.register(registration(token, token))!;
  rig.engine.verify(device);
  return device;
}

/** What a phone makes of the box that a gateway fills by the key in a verification frame (relay.md §5). */
function codeSeen(dhSecret: Uint8Array, { nonce, payload }: Frame, code: Uint8Array) {
  const box = crypto.salsa20Poly1305Seal(payload.subarray(0, 32), nonce.subarray(16), pad(code, 2912));
  return cbDecrypt(crypto, dhSecret, nonce, box);
}

test('a registration: capability, verification push, CONFIRMED, code, ACTIVE', async () => {
  const rig = wakeRig(crypto);
  const device = registered(rig);
  await rig.clock.advance(0);
  assert.deepEqual(rig.link.exchanged, [1]);
  assert.equal(rig.registry.sealedToken(device), undefined, 'a capability is held instead');
  const [{ frame, answer }] = rig.link.sent as [(typeof rig.link.sent)[0]];
  assert.deepEqual([frame.kind, frame.urgent], ['verification', false]);
  assert.deepEqual(codeSeen(device.dhSecret, frame, CODE), CODE);
  assert.equal(device.status, 'registered');
  answer(ACCEPTED);
  await rig.clock.advance(0);
  assert.equal(device.status, 'confirmed');
  rig.link.judge = (name, code) =>
    name === 1 && code[0] === CODE[0] ? 'good' : new GatewayRefusal('bad-code');
  assert.equal(await rig.engine.prove(device, CODE), 'proven');
  assert.equal(device.status, 'active');
  rig.signal(device, 1);
  assert.deepEqual([...rig.link.sent[1]!.frame.capability], [...capability(2)]);
});

test('a code that was proven is known again without asking; a wrong one is what the gateway says', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  const asked = rig.link.proofsAsked;
  assert.equal(await rig.engine.prove(device, CODE), 'proven');
  assert.equal(rig.link.proofsAsked, asked);
  rig.link.judge = () => new GatewayRefusal('bad-code');
  assert.equal(await rig.engine.prove(device, new Uint8Array(32)), 'wrong');
  assert.equal(device.status, 'active');
});

test('after five wrong codes an hour the gateway is not asked', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  const asked = rig.link.proofsAsked;
  rig.link.judge = () => new GatewayRefusal('bad-code');
  for (let n = 1; n <= 7; n++) {
    assert.equal(await rig.engine.prove(device, new Uint8Array(32).fill(n)), 'wrong');
  }
  assert.equal(rig.link.proofsAsked - asked, 5);
  await rig.clock.advance(HOUR);
  rig.link.judge = () => 'good';
  assert.equal(await rig.engine.prove(device, new Uint8Array(32).fill(9)), 'proven');
});

for (const code of ['no-answer', 'unavailable', 'rate', 'bad-signature']) {
  test(`a gateway that answers ${code} judged nothing`, async () => {
    const rig = wakeRig(crypto);
    const device = registered(rig);
    await rig.clock.advance(0);
    rig.link.judge = () => new GatewayRefusal(code);
    assert.equal(await rig.engine.prove(device, CODE), 'unreachable');
    assert.equal(device.status, 'registered');
  });
}

test('a gateway that does not answer is waited for eight seconds; a late proof counts all the same', async () => {
  const rig = wakeRig(crypto);
  const device = registered(rig);
  await rig.clock.advance(0);
  let result: string | undefined;
  void rig.engine.prove(device, CODE).then((r) => {
    result = r;
  });
  await rig.clock.advance(7_999);
  assert.equal(result, undefined);
  await rig.clock.advance(1);
  assert.equal(result, 'unreachable');
  rig.link.pendingProofs[0]!(capability(9));
  await rig.clock.advance(0);
  assert.equal(device.status, 'active');
  assert.equal(await rig.engine.prove(device, CODE), 'proven');
});

test('the same code twice at once is judged once; another one meanwhile gets no answer', async () => {
  const rig = wakeRig(crypto);
  const device = registered(rig);
  await rig.clock.advance(0);
  const results = [CODE, CODE, new Uint8Array(32)].map((code) => rig.engine.prove(device, code));
  rig.link.pendingProofs[0]!(capability(9));
  assert.deepEqual(await Promise.all(results), ['proven', 'proven', 'unreachable']);
  assert.equal(rig.link.proofsAsked, 1);
});

test('a proof removes the other registrations of the token', async () => {
  const rig = wakeRig(crypto);
  const stranger = rig.registry.register(registration(1, 66))!;
  const strangerId = stranger.tokenId.slice();
  await rig.active(1);
  assert.equal(rig.registry.deviceById(strangerId), undefined);
});

test('a code for a token that was replaced meanwhile proves nothing', async () => {
  const rig = wakeRig(crypto);
  const device = registered(rig);
  await rig.clock.advance(0);
  const result = rig.engine.prove(device, CODE);
  rig.registry.replaceToken(device, {
    tokenHash: new Uint8Array(32).fill(9),
    environment: 'production',
    sealedToken: sealed(9),
  });
  rig.engine.verify(device);
  rig.link.pendingProofs[0]!(capability(9));
  assert.equal(await result, 'unreachable');
  assert.equal(device.status, 'registered');
});

test('TRPL: a new capability, and the code of the old token is no longer known', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.registry.replaceToken(device, {
    tokenHash: new Uint8Array(32).fill(9),
    environment: 'production',
    sealedToken: sealed(9),
  });
  rig.engine.verify(device);
  rig.signal(device, 1);
  await rig.clock.advance(0);
  rig.link.judge = () => new GatewayRefusal('bad-code');
  assert.equal(await rig.engine.prove(device, CODE), 'wrong');
  assert.equal(rig.link.count('message'), 0);
  rig.link.sent[0]!.answer(ACCEPTED);
  rig.link.judge = () => 'good';
  assert.equal(await rig.engine.prove(device, new Uint8Array(32)), 'proven');
  await rig.clock.advance(0);
  assert.equal(rig.link.count('message'), 1);
});

test('a repeated TNEW sends a push under the capability that is there', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.registry.resealToken(device, sealed(5));
  rig.engine.verify(device);
  await rig.clock.advance(0);
  assert.deepEqual(rig.link.exchanged, [1]);
  assert.equal(rig.link.count('verification'), 1);
  assert.equal(device.status, 'active');
  assert.equal(rig.registry.sealedToken(device), undefined);
});

test('under a capability that is refused, the token sealed anew is exchanged', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.registry.resealToken(device, sealed(5));
  rig.engine.verify(device);
  rig.link.sent[0]!.answer(refused('unknown-key'));
  await rig.clock.advance(0);
  assert.deepEqual(rig.link.exchanged, [1, 5]);
  assert.equal(device.status, 'registered');
  rig.link.sent[1]!.answer(ACCEPTED);
  await rig.clock.advance(0);
  assert.equal(device.status, 'confirmed');
});

test('refused also then, the token is invalid until its client registers again', async () => {
  const rig = wakeRig(crypto);
  const device = registered(rig);
  await rig.clock.advance(0);
  rig.link.sent[0]!.answer(refused('revoked'));
  await rig.clock.advance(HOUR);
  assert.equal(device.status, 'invalid');
  assert.equal(rig.link.sent.length, 1);
  assert.equal(await rig.engine.prove(device, CODE), 'wrong');
  rig.registry.resealToken(device, sealed(6));
  rig.engine.verify(device);
  await rig.clock.advance(0);
  assert.deepEqual(rig.link.exchanged, [1, 6]);
  assert.equal(rig.link.count('verification'), 2);
});

test('an exchange that fails is tried again; one that can never work makes the token invalid', async () => {
  const rig = wakeRig(crypto);
  rig.link.exchangeRefusal = new GatewayRefusal('no-answer');
  const device = registered(rig);
  await rig.clock.advance(2 * MINUTE + 1);
  assert.equal(rig.link.exchanged.length, 3);
  rig.link.exchangeRefusal = new GatewayRefusal('rate', 600);
  await rig.clock.advance(MINUTE);
  await rig.clock.advance(9 * MINUTE);
  assert.equal(rig.link.exchanged.length, 4);
  rig.link.exchangeRefusal = new GatewayRefusal('bad-sealed-token');
  await rig.clock.advance(MINUTE);
  assert.equal(device.status, 'invalid');
  assert.equal(rig.registry.sealedToken(device), undefined);
});

test('while the gateway is away nothing is exchanged; then it goes on by itself', async () => {
  const rig = wakeRig(crypto);
  rig.link.available = false;
  registered(rig);
  await rig.clock.advance(HOUR);
  assert.equal(rig.link.exchanged.length, 0);
  rig.link.setAvailable(true);
  await rig.clock.advance(0);
  assert.equal(rig.link.count('verification'), 1);
});

test('later: the push is sent again after the wait, with a code box of its own', async () => {
  const rig = wakeRig(crypto);
  registered(rig);
  await rig.clock.advance(0);
  rig.link.sent[0]!.answer(later(1200));
  await rig.clock.advance(20 * MINUTE);
  assert.equal(rig.link.sent.length, 2);
  assert.notDeepEqual(rig.link.sent[1]!.frame.nonce, rig.link.sent[0]!.frame.nonce);
});

test('a flood of repeated registrations is slowed down', async () => {
  const rig = wakeRig(crypto);
  const device = registered(rig);
  rig.link.rule = () => ACCEPTED;
  for (let n = 0; n < 100; n++) {
    rig.engine.verify(device);
    await rig.clock.advance(MINUTE);
  }
  assert.ok(rig.link.count('verification') <= 6 + 10);
});

test('a device that proved nothing for thirty days is asked once a day', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  for (let day = 0; day < 29; day++) {
    rig.registry.touch(device);
    await rig.clock.advance(DAY);
  }
  assert.equal(rig.link.count('verification'), 0);
  for (let day = 0; day < 4; day++) {
    rig.registry.touch(device);
    await rig.clock.advance(DAY);
  }
  assert.equal(rig.link.count('verification'), 4);
  rig.link.judge = () => 'good';
  assert.equal(await rig.engine.prove(device, new Uint8Array(32)), 'proven');
  rig.registry.touch(device);
  await rig.clock.advance(5 * DAY);
  assert.equal(rig.link.count('verification'), 4);
});

test('a renewed capability is used from then on; an old one is renewed by itself', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.link.rule = () => ({ ...ACCEPTED, capability: capability(77) });
  rig.signal(device, 1);
  await rig.clock.advance(0);
  rig.link.rule = () => ACCEPTED;
  rig.signal(device, 2);
  assert.equal(rig.link.sent[1]!.frame.capability[0], 77);
  for (let day = 0; day < 31; day++) {
    rig.registry.touch(device);
    await rig.clock.advance(DAY);
  }
  assert.deepEqual(rig.link.renewed, [77]);
  rig.signal(device, 3);
  assert.equal(rig.link.sent.at(-1)!.frame.capability[0], rig.link.nextCapability - 1);
});

test('a renewal that is refused makes the token invalid; one that fails is tried the next day', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  rig.link.renewRefusal = new GatewayRefusal('no-answer');
  for (let day = 0; day < 32; day++) {
    rig.registry.touch(device);
    await rig.clock.advance(DAY);
  }
  assert.equal(rig.link.renewed.length, 3);
  assert.equal(device.status, 'active');
  rig.link.renewRefusal = new GatewayRefusal('bad-capability');
  await rig.clock.advance(DAY);
  assert.equal(device.status, 'invalid');
});

test('environment none: confirmed without a push, and no code is right', async () => {
  const rig = wakeRig(crypto);
  const { sealedToken: _, ...bare } = registration(1, 1);
  const device = rig.registry.register({ ...bare, environment: 'none' })!;
  rig.engine.verify(device);
  await rig.clock.advance(HOUR);
  assert.equal(device.status, 'confirmed');
  assert.equal(rig.link.sent.length + rig.link.exchanged.length, 0);
  assert.equal(await rig.engine.prove(device, CODE), 'wrong');
});

test('closing overwrites what is held and stops all timers', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 1);
  rig.engine.close();
  assert.equal(rig.wake.count('wake_mailbox_entries'), 0);
  rig.link.sent[0]!.answer(ACCEPTED);
  await rig.clock.advance(HOUR);
  assert.equal(rig.link.sent.length, 1);
});
