/** What one registry and wake engine export, another one imports, and then does as the first would have done. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Device } from '../../../../../services/subscriber/registry/device.js';
import { readDevice, writeDevice } from '../../../../../services/subscriber/registry/device-state.js';
import {
  readRegistryKeys,
  readSubscription,
  writeRegistryKeys,
  writeSubscription,
} from '../../../../../services/subscriber/registry/subscription-state.js';
import { readPager, writePager } from '../../../../../services/subscriber/wake/pager-state.js';
import { decodeAll, type Reader } from '../../../../../shared/encoding/reader.js';
import { Writer } from '../../../../../shared/encoding/writer.js';
import { native as crypto } from '../../../../support/crypto.js';
import { ACCEPTED } from '../../../../support/fake-link.js';
import {
  provenDevice,
  type RegistryRig,
  recordEvents,
  registration,
  registryRig,
} from '../../../../support/registry.js';
import { CODE, type WakeRig, wakeRig } from '../../../../support/wake.js';

const HOUR = 3_600_000;

/** Over the wire and back. */
function crossed<T>(write: (w: Writer, state: T) => void, read: (r: Reader) => T, state: T): T {
  const w = new Writer();
  write(w, state);
  return decodeAll(w.done(), read);
}

/** Gives everything of one registry to another, at the same time of its clock. */
async function handRegistry(from: RegistryRig, to: RegistryRig): Promise<void> {
  await to.clock.advance(from.clock.monotonic() - to.clock.monotonic());
  to.registry.restoreKeys(crossed(writeRegistryKeys, readRegistryKeys, from.registry.keys));
  for (const state of from.registry.deviceStates()) {
    to.registry.restoreDevice(crossed(writeDevice, readDevice, state));
  }
  for (const [state, handle] of from.registry.subscriptionStates()) {
    const { address, key } = from.source.followed.get(handle)!;
    const followed = to.source.follow(address, key, state.row) as { handle: number };
    to.registry.restoreSubscription(crossed(writeSubscription, readSubscription, state), followed.handle);
  }
  to.registry.begin();
}

function connectedRegistry(): RegistryRig {
  const rig = registryRig(crypto);
  rig.registry.connect(rig.source, recordEvents([]));
  return rig;
}

const facts = ({ slot, status, generation, checkMinutes, subscriptions, environment }: Device) => ({
  ...{ slot, status, generation, checkMinutes, subscriptions, environment },
});

describe('hand-over: registry', () => {
  test('devices and subscriptions with their ids, secrets, gaps and deadlines', async () => {
    const [a, b] = [connectedRegistry(), connectedRegistry()];
    const first = provenDevice(a.registry, 1);
    const gone = provenDevice(a.registry, 2);
    const young = a.registry.register(registration(3, 3))!;
    a.registry.setCheckMinutes(first, 40);
    const subscribe = (device: Device, address: string) => {
      const result = a.registry.subscribe(device, address, 7);
      assert.ok('subscription' in result);
      a.source.report(result.subscription.ref, 'active');
      return result.subscription.id;
    };
    const lost = subscribe(gone, 'x/gap');
    const kept = [subscribe(first, 'x/1'), subscribe(first, 'y/2')];
    a.registry.remove(gone);
    await a.clock.advance(23 * HOUR);
    await handRegistry(a, b);

    for (const device of [first, young]) {
      const restored = b.registry.deviceById(device.tokenId)!;
      assert.deepEqual(facts(restored), facts(device));
      assert.deepEqual(restored.dhSecret, device.dhSecret);
      assert.deepEqual(restored.verifyKey, device.verifyKey);
      assert.deepEqual(b.registry.sealedToken(restored), a.registry.sealedToken(device));
      const { tokenHash, verifyKey, listener } = device;
      assert.equal(b.registry.deviceByRegistration(listener, tokenHash, verifyKey.raw), restored);
    }
    for (const id of kept) {
      assert.equal(b.registry.subscriptionById(id)?.status.kind, 'active');
      assert.equal(b.registry.subscriptionById(id)?.device.slot, first.slot);
    }
    assert.equal(b.registry.subscriptionById(lost), undefined);

    // What is new finds its place in the gaps, and no id is given out twice.
    const second = provenDevice(b.registry, 9);
    assert.equal(second.slot, gone.slot);
    const again = b.registry.subscribe(second, 'x/gap', 7);
    assert.ok('subscription' in again);
    assert.notDeepEqual(again.subscription.id, lost);
    assert.deepEqual(b.registry.subscribe(second, 'x/1', 7), { refused: 'taken' });

    await b.clock.advance(HOUR);
    assert.equal(b.registry.deviceById(young.tokenId), undefined);
    assert.ok(b.registry.deviceById(first.tokenId));
  });

  test('what the old one still tells of a number is meant for what it was, not for who has it now', async () => {
    const [a, b] = [connectedRegistry(), connectedRegistry()];
    const refs: number[] = [];
    for (const token of [1, 2]) {
      const followed = a.registry.subscribe(provenDevice(a.registry, token), `x/${token}`, 7);
      assert.ok('subscription' in followed);
      refs.push(followed.subscription.ref);
    }
    await handRegistry(a, b);
    const handles = () => refs.map((ref) => b.registry.restoredHandle(ref) !== undefined);
    assert.deepEqual(handles(), [true, true]);
    const device = b.registry.deviceAt(0)!;
    b.registry.unsubscribe(b.registry.subscriptionById(b.registry.subscriptionId(refs[0]!))!);
    const next = b.registry.subscribe(device, 'x/3', 7);
    assert.ok('subscription' in next);
    assert.equal(next.subscription.ref, refs[0]);
    assert.deepEqual(handles(), [false, true]);
    assert.equal([...b.registry.restoredHandles()].length, 1);
  });

  test('no room for it: refused', async () => {
    const a = connectedRegistry();
    provenDevice(a.registry, 1);
    provenDevice(a.registry, 2);
    const b = registryRig(crypto, { devices: 1 });
    b.registry.connect(b.source, recordEvents([]));
    await assert.rejects(handRegistry(a, b), RangeError);
  });
});

/** Everything of one wake engine to another. */
async function handEngine(from: WakeRig, to: WakeRig): Promise<void> {
  await handRegistry(from, to);
  to.engine.secretKey.set(from.engine.secretKey);
  for (const state of from.engine.states()) {
    to.engine.restore(to.registry.deviceAt(state.slot)!, crossed(writePager, readPager, state));
  }
  to.engine.begin();
  await to.clock.advance(0);
}

describe('hand-over: wake engine', () => {
  test('closed, it keeps no key of those that crossed', async () => {
    const { engine, registry, active } = wakeRig(crypto);
    await active(1);
    const { ids, queues } = registry.keys;
    engine.close();
    registry.close();
    for (const key of [engine.secretKey, ids, queues]) assert.ok(key.every((byte) => byte === 0));
  });

  test('a push in flight is sent again under its id, with its bytes; told is told', async () => {
    const [a, b] = [wakeRig(crypto), wakeRig(crypto)];
    const device = await a.active(1);
    a.signal(device, 1, 2);
    await a.clock.advance(0);
    const [sent] = a.link.sent;
    await handEngine(a, b);
    const [again] = b.link.sent;
    assert.deepEqual(again?.frame, sent?.frame);
    again!.answer(ACCEPTED);
    await b.clock.advance(0);
    const restored = b.registry.deviceAt(device.slot)!;
    assert.deepEqual(b.opened(restored, b.link.sent[1]!.frame), [1, 2]);
    b.link.sent[1]!.answer(ACCEPTED);
    await b.clock.advance(0);
    assert.equal(b.link.sent.length, 2);
  });

  test('budgets, told entries and numbers go on where they stood', async () => {
    const style = { mode: 'background', profile: 'porchlight' } as const;
    const [a, b] = [wakeRig(crypto, { style }), wakeRig(crypto, { style })];
    const device = await a.active(1);
    a.link.rule = () => ACCEPTED;
    a.signal(device, 1);
    await a.clock.advance(5 * 60_000);
    a.signal(device, 2);
    await a.clock.advance(0);
    assert.equal(a.link.sent.length, 1); // the second waits for its budget
    await handEngine(a, b);
    b.link.rule = () => ACCEPTED;
    await Promise.all([a.clock.advance(15 * 60_000 - 1), b.clock.advance(15 * 60_000 - 1)]);
    assert.deepEqual([a.link.sent.length, b.link.sent.length], [1, 0]);
    await Promise.all([a.clock.advance(1), b.clock.advance(1)]);
    const restored = b.registry.deviceAt(device.slot)!;
    const [first, second] = [a.push(device, a.link.sent[1]!.frame), b.push(restored, b.link.sent[0]!.frame)];
    assert.deepEqual({ ...second, time: 0 }, { ...first, time: 0 });
    assert.deepEqual([second.sequence, second.entries.length], [2, 2]);
  });

  test('flags, periodic checks and what was proven', async () => {
    const [a, b] = [wakeRig(crypto), wakeRig(crypto)];
    const device = await a.active(1);
    a.registry.setCheckMinutes(device, 60);
    a.engine.checksChanged(device);
    a.engine.maybeMissed(device);
    await a.clock.advance(60_000);
    await handEngine(a, b);
    const restored = b.registry.deviceAt(device.slot)!;
    assert.equal(await b.engine.prove(restored, CODE), 'proven');
    assert.equal(b.link.proofsAsked, 0);
    for (const rig of [a, b]) rig.link.rule = () => ACCEPTED;
    await Promise.all([a.clock.advance(3 * HOUR), b.clock.advance(3 * HOUR)]);
    const kinds = (rig: WakeRig) => rig.link.sent.map(({ frame }) => frame.kind);
    assert.deepEqual(kinds(b), kinds(a));
    assert.ok(kinds(b).length >= 3);
  });

  test('an exchange for a capability is begun anew', async () => {
    const [a, b] = [wakeRig(crypto), wakeRig(crypto)];
    const device = a.registry.register(registration(5, 5))!;
    a.link.exchange = () => new Promise(() => {});
    a.engine.verify(device);
    await a.clock.advance(0);
    await handEngine(a, b);
    assert.deepEqual(b.link.exchanged, [5]);
    assert.equal(b.link.count('verification'), 1);
  });
});
