import assert from 'node:assert/strict';
import { test } from 'node:test';
import { native as crypto } from '../../../../support/crypto.js';
import { provenDevice, recordEvents, registryRig } from '../../../../support/registry.js';

test('queues of one device are a group for the source, those of another device another', () => {
  const { registry, source } = registryRig(crypto);
  registry.connect(source, recordEvents([]));
  const [one, two] = [provenDevice(registry, 1), provenDevice(registry, 2)];
  for (const [device, address] of [
    [one, 'a/1'],
    [one, 'b/2'],
    [two, 'a/3'],
  ] as const) {
    assert.ok('subscription' in registry.subscribe(device, address, 1));
  }
  const groups = [...source.followed.values()].map(({ group }) => group);
  assert.deepEqual(groups, [one.slot, one.slot, two.slot]);
});
