import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayRefusal } from '../../../../../services/subscriber/outbound/gateway-link.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import type { Outcome } from '../../../../../shared/relay/batch.js';
import { capability } from '../../../../support/fake-link.js';
import { registration } from '../../../../support/registry.js';
import { CODE, type WakeRig, wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const MINUTE = 60_000;
const REVOKED: Outcome = { kind: 'refused', reason: 'revoked', after: 0 };

/** The phone leaves, as by TDEL. */
async function leave(rig: WakeRig, device: Parameters<WakeRig['registry']['remove']>[0]): Promise<void> {
  rig.engine.giveUp(device);
  rig.registry.remove(device);
  await rig.clock.advance(0);
}

test('the capability of a phone that leaves is revoked; that of one that never proved anything is not', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  await leave(rig, device);
  assert.deepEqual(rig.link.revoked, [2], 'the proven one');
  const stranger = rig.registry.register(registration(3, 3))!;
  rig.engine.verify(stranger);
  await rig.clock.advance(0);
  await leave(rig, stranger);
  assert.deepEqual(rig.link.revoked, [2]);
  assert.equal(rig.wake.count('wake_farewells_total', 'told'), 1);
});

test('one that registered again is proven while the revocation still travels', async () => {
  const rig = wakeRig(crypto);
  rig.link.revocation = () => new Promise(() => {});
  await leave(rig, await rig.active(1));
  const again = await rig.active(1);
  assert.equal(again.status, 'active');
});

test('with another token, the capability of the old one is revoked; lapsed and replaced registrations are forgotten', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  const token = { tokenHash: new Uint8Array(32).fill(9), environment: 'test' as const };
  assert.equal(
    rig.registry.replaceToken(device, { ...token, sealedToken: new Uint8Array(229).fill(9) }),
    true,
  );
  rig.engine.verify(device);
  await rig.clock.advance(0);
  assert.deepEqual(rig.link.revoked, [2]);
  // A second registration of one token, with another key: the first goes, and the gateway is not told, for all that
  // this subscriber has of the device would end with it.
  const first = await rig.active(4);
  rig.registry.register(registration(4, 5));
  const others = rig.registry.register(registration(4, 6))!;
  rig.registry.removeOthers(others);
  assert.equal(rig.registry.deviceById(first.tokenId), undefined);
  await rig.clock.advance(31 * 24 * 60 * MINUTE);
  assert.deepEqual(rig.link.revoked, [2]);
});

test('is tried again for four minutes, and not where there is nothing left to revoke', async () => {
  const rig = wakeRig(crypto);
  let answer = new GatewayRefusal('no-answer');
  rig.link.revocation = () => Promise.reject(answer);
  await leave(rig, await rig.active(1));
  await rig.clock.advance(60 * MINUTE);
  const attempts = rig.link.revoked.length;
  assert.ok(attempts >= 4 && attempts <= 20, `${attempts} attempts`);
  assert.equal(rig.wake.count('wake_farewells_total', 'given-up'), 1);
  answer = new GatewayRefusal('bad-capability');
  await leave(rig, await rig.active(2));
  await rig.clock.advance(60 * MINUTE);
  assert.equal(rig.link.revoked.length, attempts + 1);
  assert.equal(rig.wake.count('wake_farewells_total', 'told'), 1);
});

test('after the last attempt nothing is sent that could end a newer registration', async () => {
  const rig = wakeRig(crypto);
  const sentAt: number[] = [];
  rig.link.revocation = async () => {
    sentAt.push(rig.clock.monotonic());
    throw new GatewayRefusal('no-answer');
  };
  const device = await rig.active(1);
  const left = rig.clock.monotonic();
  await leave(rig, device);
  await rig.clock.advance(60 * MINUTE);
  assert.ok(sentAt.every((at) => at - left < 5 * MINUTE));
});

test('closing forgets those that wait', async () => {
  const rig = wakeRig(crypto);
  rig.link.revocation = () => Promise.reject(new GatewayRefusal('no-answer'));
  for (let i = 0; i < 20; i++) await leave(rig, await rig.active(i));
  rig.engine.close();
  const sent = rig.link.revoked.length;
  await rig.clock.advance(60 * MINUTE);
  assert.equal(rig.link.revoked.length, sent);
});

test('a push whose capability was replaced while it travelled goes again with the new one', async () => {
  const rig = wakeRig(crypto);
  const device = await rig.active(1);
  rig.signal(device, 1);
  const [sent] = rig.link.sent.splice(0);
  assert.deepEqual([...sent!.frame.capability], [...capability(2)]);
  rig.link.judge = () => 'good';
  await rig.engine.prove(device, CODE.slice().fill(7));
  sent!.answer(REVOKED);
  await rig.clock.advance(0);
  assert.equal(device.status, 'active');
  assert.deepEqual([...rig.link.sent[0]!.frame.capability], [...capability(3)]);
  rig.link.sent[0]!.answer(REVOKED);
  await rig.clock.advance(0);
  assert.equal(device.status, 'invalid', 'the one that is held was refused');
});
