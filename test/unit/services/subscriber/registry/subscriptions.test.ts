import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device } from '../../../../../services/subscriber/registry/device.js';
import type { MemoryRegistry } from '../../../../../services/subscriber/registry/memory-registry.js';
import type { Subscription } from '../../../../../services/subscriber/registry/registry.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { provenDevice, recordEvents, registration, registryRig } from '../../../../support/registry.js';

const crypto = await loadCrypto();
const DAY = 24 * 3_600_000;

function rig(limits: Parameters<typeof registryRig>[1] = {}) {
  const made = registryRig(crypto, limits);
  const seen: string[] = [];
  made.registry.connect(made.source, recordEvents(seen));
  return { ...made, seen };
}

type Registry = MemoryRegistry<string, number>;

function subscribed(registry: Registry, device: Device, address: string, key = 1): Subscription {
  const result = registry.subscribe(device, address, key);
  assert.ok('subscription' in result);
  return result.subscription;
}

function refusal(registry: Registry, device: Device, address: string, key = 1): string {
  const result = registry.subscribe(device, address, key);
  assert.ok('refused' in result);
  return result.refused;
}

const statusOf = (registry: Registry, { id }: Subscription) => registry.subscriptionById(id)?.status.kind;

test('repeated with the same key it is the same subscription, with another key it is taken', () => {
  const { registry, source } = rig();
  const device = provenDevice(registry, 1);
  const first = subscribed(registry, device, 'a/1');
  const again = registry.subscribe(device, 'a/1', 1);
  assert.ok('subscription' in again && !again.isNew);
  assert.deepEqual(again.subscription.id, first.id);
  assert.equal(refusal(registry, device, 'a/1', 2), 'taken');
  assert.equal(source.followed.size, 1);
  assert.equal(device.subscriptions, 1);
});

test('an unconfirmed entry keeps no one out, a confirmed one does', () => {
  const { registry, source, seen } = rig();
  const [rogue, owner, late] = [1, 2, 3].map((token) => provenDevice(registry, token));
  const squatted = subscribed(registry, rogue!, 'a/1', 66);
  const real = subscribed(registry, owner!, 'a/1', 1);
  source.report(real.ref, 'active');
  source.report(squatted.ref, 'auth');
  assert.equal(refusal(registry, late!, 'a/1'), 'taken');
  assert.equal(statusOf(registry, squatted), 'auth');
  registry.signal(squatted.ref, new Uint8Array(24), new Uint8Array(1));
  registry.signal(real.ref, new Uint8Array(24), new Uint8Array(1));
  assert.deepEqual(seen, [`signal ${owner!.slot} ${real.ref}`]);
});

test('of two confirmed for one queue the first keeps it, until it loses it', () => {
  const { registry, source, metrics } = rig();
  const [one, two] = [1, 2].map((token) => provenDevice(registry, token));
  const first = subscribed(registry, one!, 'a/1');
  const second = subscribed(registry, two!, 'a/1');
  source.report(first.ref, 'active');
  source.report(second.ref, 'active');
  assert.equal(statusOf(registry, first), 'active');
  assert.equal(statusOf(registry, second), 'auth');
  assert.equal(metrics.count('registry_rivals_total'), 1);
  source.report(first.ref, 'inactive');
  source.report(second.ref, 'active');
  assert.equal(statusOf(registry, second), 'auth', 'not connected for a while is not lost');
  source.report(first.ref, 'deleted');
  source.report(second.ref, 'active');
  assert.equal(statusOf(registry, second), 'active');
});

test('a registration that was never proven holds no subscriptions', () => {
  const { registry } = rig();
  const device = registry.register(registration(1, 1))!;
  registry.setStatus(device, 'invalid', 'bad');
  assert.equal(refusal(registry, device, 'a/1'), 'taken');
});

test('twenty new servers a day, more on servers that are known', async () => {
  const { registry, clock } = rig();
  const device = provenDevice(registry, 1);
  const server = (n: number) => String.fromCharCode(0x100 + n);
  for (let n = 0; n < 20; n++) subscribed(registry, device, `${server(n)}/1`);
  assert.equal(refusal(registry, device, `${server(20)}/1`), 'servers');
  subscribed(registry, device, `${server(3)}/2`);
  await clock.advance(DAY);
  subscribed(registry, device, `${server(20)}/1`);
});

test('limits and the refusals of the source leave nothing behind', () => {
  const { registry, source, metrics } = rig({ subscriptions: 3, subscriptionsPerDevice: 2 });
  const [one, two] = [1, 2].map((token) => provenDevice(registry, token));
  source.refusal = 'prohibited';
  assert.equal(refusal(registry, one!, 'a/1'), 'prohibited');
  assert.equal(one!.subscriptions, 0);
  source.refusal = undefined;
  subscribed(registry, one!, 'a/1');
  subscribed(registry, one!, 'a/2');
  assert.equal(refusal(registry, one!, 'a/3'), 'full');
  subscribed(registry, two!, 'a/3');
  assert.equal(refusal(registry, two!, 'a/4'), 'full');
  assert.equal(metrics.count('registry_subscriptions'), 3);
});

test('ids are unlike each other and foreign ones name nothing', () => {
  const { registry } = rig();
  const device = provenDevice(registry, 1);
  const first = subscribed(registry, device, 'a/1');
  assert.equal(first.id.length, 24);
  const forged = first.id.slice();
  forged[5]! ^= 1;
  for (const id of [forged, new Uint8Array(24), crypto.randomBytes(24), new Uint8Array(3)]) {
    assert.equal(registry.subscriptionById(id), undefined);
  }
  registry.unsubscribe(first);
  assert.equal(registry.subscriptionById(first.id), undefined);
  const next = subscribed(registry, device, 'a/2');
  assert.equal(next.ref, first.ref, 'the row is used again');
  assert.notDeepEqual(next.id, first.id);
  registry.unsubscribe(first);
  assert.ok(registry.subscriptionById(next.id), 'an old id does not reach the next in its row');
});

test('a device that goes takes its subscriptions along', () => {
  const { registry, source, seen, metrics } = rig();
  const device = provenDevice(registry, 1);
  const other = provenDevice(registry, 2);
  const kept = subscribed(registry, other, 'a/9');
  const gone = ['a/1', 'b/2', 'c/3'].map((address) => subscribed(registry, device, address));
  registry.remove(device);
  assert.deepEqual(seen, [`forget ${device.slot}`]);
  for (const { id } of gone) assert.equal(registry.subscriptionById(id), undefined);
  assert.equal(source.followed.size, 1);
  assert.ok(registry.subscriptionById(kept.id));
  assert.equal(metrics.count('registry_subscriptions'), 1);
});

test('error words are kept, and a flood of them is bounded', () => {
  const { registry } = rig();
  const subscription = subscribed(registry, provenDevice(registry, 1), 'a/1');
  for (let n = 0; n < 300; n++) registry.status(subscription.ref, { kind: 'error', word: `W${n}` });
  assert.deepEqual(registry.subscriptionById(subscription.id)!.status, { kind: 'error', word: 'INTERNAL' });
  registry.status(subscription.ref, { kind: 'error', word: 'W7' });
  assert.deepEqual(registry.subscriptionById(subscription.id)!.status, { kind: 'error', word: 'W7' });
});

test('the wake engine is told the id that the client knows, and whether a device follows one server only', () => {
  const { registry } = rig();
  const device = provenDevice(registry, 1);
  const first = subscribed(registry, device, 'a/1');
  assert.deepEqual(registry.subscriptionId(first.ref), first.id);
  subscribed(registry, provenDevice(registry, 2), 'b/1');
  subscribed(registry, device, 'a/2');
  assert.equal(registry.isOnlyServer(first.ref), true, 'another device’s server is nothing to it');
  const elsewhere = subscribed(registry, device, 'b/2');
  assert.deepEqual([registry.isOnlyServer(first.ref), registry.isOnlyServer(elsewhere.ref)], [false, false]);
  registry.unsubscribe(elsewhere);
  assert.equal(registry.isOnlyServer(first.ref), true);
});

test('to find another server, only the newest subscriptions are looked at', () => {
  const { registry } = rig();
  const device = provenDevice(registry, 1);
  subscribed(registry, device, 'b/0');
  const { ref } = subscribed(registry, device, 'a/0');
  for (let n = 1; n < 63; n++) subscribed(registry, device, `a/${n}`);
  assert.equal(registry.isOnlyServer(ref), false);
  subscribed(registry, device, 'a/63');
  assert.equal(registry.isOnlyServer(ref), true);
});
