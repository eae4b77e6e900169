import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Device } from '../../../../../services/subscriber/registry/device.js';
import type { Subscription } from '../../../../../services/subscriber/registry/registry.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { provenDevice, recordEvents, registryRig } from '../../../../support/registry.js';

const crypto = await loadCrypto();

interface ModelEntry {
  readonly device: Device;
  readonly address: string;
  readonly key: number;
  readonly subscription: Subscription;
  holds: boolean;
  status: string;
}

const step = fc.record({
  op: fc.constantFrom('subscribe', 'subscribe', 'active', 'end', 'unsubscribe', 'remove', 'return'),
  device: fc.nat(2),
  queue: fc.nat(3),
  key: fc.nat(1),
  pick: fc.nat(),
});

test('the registry agrees with a list', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { registry, source } = registryRig(crypto);
      registry.connect(source, recordEvents([]));
      const devices: (Device | undefined)[] = [1, 2, 3].map((token) => provenDevice(registry, token));
      let model: ModelEntry[] = [];
      for (const { op, device: n, queue, key, pick } of steps) {
        const device = devices[n];
        const entry = model[pick % Math.max(1, model.length)];
        if (op === 'subscribe' && device !== undefined) {
          const address = `a/${queue}`;
          const same = model.filter((m) => m.address === address);
          const own = same.find((m) => m.device === device);
          const result = registry.subscribe(device, address, key);
          if ('refused' in result) {
            assert.ok(same.some((m) => (m.device === device ? m.key !== key : m.holds)));
          } else if (own !== undefined) {
            assert.equal(own.key, key);
            assert.deepEqual(result.subscription.id, own.subscription.id);
            assert.equal(result.isNew, false);
          } else {
            assert.ok(result.isNew && same.every((m) => !m.holds));
            const { subscription } = result;
            model.push({ device, address, key, subscription, holds: false, status: 'pending' });
          }
        } else if (op === 'active' && entry !== undefined) {
          const isHeld = model.some((m) => m !== entry && m.address === entry.address && m.holds);
          source.report(entry.subscription.ref, 'active');
          entry.holds = !isHeld;
          entry.status = isHeld ? 'auth' : 'active';
        } else if (op === 'end' && entry !== undefined) {
          source.report(entry.subscription.ref, 'end');
          entry.holds = false;
          entry.status = 'end';
        } else if (op === 'unsubscribe' && entry !== undefined) {
          registry.unsubscribe(entry.subscription);
          model = model.filter((m) => m !== entry);
        } else if (op === 'remove' && device !== undefined) {
          registry.remove(device);
          devices[n] = undefined;
          model = model.filter((m) => m.device !== device);
        } else if (op === 'return' && device === undefined) {
          devices[n] = provenDevice(registry, n + 1);
        }
        assert.equal(source.followed.size, model.length);
        for (const m of model) {
          const found = registry.subscriptionById(m.subscription.id);
          assert.equal(found?.device, m.device);
          assert.equal(found?.status.kind, m.status);
          assert.equal(registry.address(m.subscription.ref), m.address);
        }
        for (const d of devices) {
          if (d) assert.equal(d.subscriptions, model.filter((m) => m.device === d).length);
        }
      }
    }),
  );
});
