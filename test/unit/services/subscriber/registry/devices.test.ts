import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { provenDevice, recordEvents, registration, registryRig } from '../../../../support/registry.js';

const crypto = await loadCrypto();
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function rig(limits: Parameters<typeof registryRig>[1] = {}) {
  const made = registryRig(crypto, limits);
  const seen: string[] = [];
  made.registry.connect(made.source, recordEvents(seen));
  return { ...made, seen };
}

test('a device is found by its id and by its registration, and shows what it brought', () => {
  const { registry } = rig();
  const key = { algorithm: 'ed448', raw: new Uint8Array(57).fill(9) } as const;
  const device = registry.register(registration(1, 2, { verifyKey: key }))!;
  assert.equal(device.tokenId.length, 24);
  assert.equal(registry.deviceById(device.tokenId.slice()), device);
  assert.equal(registry.deviceByRegistration('main', device.tokenHash, key.raw), device);
  assert.equal(registry.deviceByRegistration('other', device.tokenHash, key.raw), undefined);
  assert.equal(registry.deviceByRegistration('main', device.tokenHash, new Uint8Array(57)), undefined);
  assert.deepEqual(device.verifyKey, key);
  assert.deepEqual([...device.dhSecret], [...new Uint8Array(32).fill(0xd2)]);
  assert.equal(device.status, 'registered');
});

test('removing overwrites secrets, also those of an object somebody kept', () => {
  const { registry, seen } = rig();
  const device = registry.register(registration(1, 1))!;
  const secret = device.dhSecret;
  const sealed = registry.sealedToken(device)!;
  const generation = device.generation;
  registry.remove(device);
  assert.ok(secret.every((byte) => byte === 0));
  assert.ok(sealed.every((byte) => byte === 0));
  const next = registry.register(registration(2, 2))!;
  assert.equal(next.slot, device.slot);
  assert.ok(
    device.dhSecret.every((byte) => byte === 0),
    'not the secret of the next in its row',
  );
  assert.notEqual(device.generation, generation);
  assert.deepEqual(seen, [`forget ${device.slot}`]);
  registry.remove(device);
  assert.equal(registry.deviceById(next.tokenId), next);
});

test('a device that gets printed shows no secret', () => {
  const { registry } = rig();
  const device = registry.register(registration(1, 1, { dhSecret: new Uint8Array(32).fill(222) }))!;
  assert.doesNotMatch(inspect(device, { depth: 9, maxArrayLength: 1_000 }), /222/);
});

test('an unverified registration lives a day, whatever its client does', async () => {
  const { registry, clock, metrics } = rig();
  const device = registry.register(registration(1, 1))!;
  const id = device.tokenId.slice();
  await clock.advance(23 * HOUR);
  registry.touch(device);
  assert.equal(registry.deviceById(id), device);
  await clock.advance(HOUR);
  assert.equal(registry.deviceById(id), undefined);
  assert.equal(metrics.count('registry_removed_total', 'unverified'), 1);
});

test('a proven registration lives thirty days from the last visit, also while invalid', async () => {
  const { registry, clock } = rig();
  const device = provenDevice(registry, 1);
  const id = device.tokenId.slice();
  await clock.advance(29 * DAY);
  registry.touch(device);
  registry.setStatus(device, 'invalid', 'unregistered');
  await clock.advance(29 * DAY);
  assert.equal(registry.deviceById(id)?.invalidReason, 'unregistered');
  await clock.advance(DAY);
  assert.equal(registry.deviceById(id), undefined);
});

test('unverified registrations only evict each other', () => {
  const { registry, metrics } = rig({ devices: 4, unverifiedDevices: 2 });
  const proven = [1, 2].map((token) => provenDevice(registry, token));
  const first = registry.register(registration(10, 10))!;
  const firstId = first.tokenId.slice();
  registry.register(registration(11, 11));
  assert.ok(registry.register(registration(12, 12)));
  assert.equal(registry.deviceById(firstId), undefined);
  assert.equal(metrics.count('registry_removed_total', 'evicted'), 1);
  for (const device of proven) assert.equal(registry.deviceById(device.tokenId), device);
});

test('full of proven registrations there is no room', () => {
  const { registry, metrics } = rig({ devices: 2 });
  provenDevice(registry, 1);
  provenDevice(registry, 2);
  assert.equal(registry.register(registration(3, 3)), undefined);
  assert.equal(metrics.count('registry_refused_total', 'devices'), 1);
});

test('one token has few registrations; a proven one is not pushed out', () => {
  const { registry } = rig({ unverifiedDevices: 1_000 });
  const proven = provenDevice(registry, 1, 200);
  for (let key = 0; key < 40; key++) assert.ok(registry.register(registration(1, key)));
  assert.equal(
    registry.deviceByRegistration('main', proven.tokenHash, new Uint8Array(32).fill(0)),
    undefined,
  );
  assert.equal(registry.deviceById(proven.tokenId), proven);
});

test('a proof removes the other registrations of that token at that listener only', () => {
  const { registry, metrics } = rig();
  const mine = registry.register(registration(1, 1))!;
  const stranger = registry.register(registration(1, 2))!;
  const otherToken = registry.register(registration(2, 2))!;
  const otherListener = registry.register(registration(1, 1, { listener: 'second' }))!;
  const strangerId = stranger.tokenId.slice();
  registry.removeOthers(mine);
  assert.equal(registry.deviceById(strangerId), undefined);
  for (const device of [mine, otherToken, otherListener]) {
    assert.equal(registry.deviceById(device.tokenId), device);
  }
  assert.equal(metrics.count('registry_removed_total', 'replaced'), 1);
});

test('TRPL takes the new token and raises the generation; another registration of it is in the way', () => {
  const { registry } = rig();
  const device = provenDevice(registry, 1, 7);
  const hash = (token: number) => new Uint8Array(32).fill(token);
  registry.register(registration(2, 7));
  const before = device.generation;
  assert.equal(registry.replaceToken(device, { tokenHash: hash(2), environment: 'sandbox' }), false);
  assert.equal(device.generation, before);
  const sealedToken = new Uint8Array(229).fill(3);
  assert.ok(registry.replaceToken(device, { tokenHash: hash(3), environment: 'sandbox', sealedToken }));
  assert.equal(device.generation, before + 1);
  assert.equal(device.status, 'registered');
  assert.equal(device.environment, 'sandbox');
  assert.deepEqual([...registry.sealedToken(device)!], [...sealedToken]);
  assert.equal(registry.deviceByRegistration('main', hash(3), device.verifyKey.raw), device);
  assert.equal(registry.deviceByRegistration('main', hash(1), device.verifyKey.raw), undefined);
});

test('sealed anew, an invalid device is registered again and others keep their status', () => {
  const { registry } = rig();
  const device = provenDevice(registry, 1);
  registry.resealToken(device, new Uint8Array(229).fill(8));
  assert.equal(device.status, 'active');
  registry.setStatus(device, 'invalid', 'bad');
  registry.resealToken(device, new Uint8Array(229).fill(9));
  assert.equal(device.status, 'registered');
  assert.equal(device.invalidReason, undefined);
  assert.equal(registry.sealedToken(device)![0], 9);
  registry.dropSealedToken(device);
  assert.equal(registry.sealedToken(device), undefined);
});
