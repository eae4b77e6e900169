/** A registry on a fake source and a virtual clock, with devices that cost one line. */

import type { Device, Registration } from '../../services/subscriber/registry/device.js';
import { MemoryRegistry, type RegistryLimits } from '../../services/subscriber/registry/memory-registry.js';
import { registryMetrics } from '../../services/subscriber/registry/metrics.js';
import type { DeviceEvents } from '../../services/subscriber/registry/registry.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { VirtualClock } from '../../shared/run/clock.js';
import { FakeSource, fakeForm } from './fake-source.js';
import { type CountedMetrics, countedMetrics } from './metrics.js';

export const GENEROUS: RegistryLimits = {
  devices: 1_000,
  unverifiedDevices: 100,
  subscriptions: 10_000,
  subscriptionsPerDevice: 1_000,
};

export interface RegistryRig {
  readonly clock: VirtualClock;
  readonly registry: MemoryRegistry<string, number>;
  readonly source: FakeSource;
  readonly metrics: CountedMetrics<typeof registryMetrics>;
}

/** Without `connect`: the caller still has to name who listens to its events. */
export function registryRig(crypto: Crypto, limits: Partial<RegistryLimits> = {}): RegistryRig {
  const clock = new VirtualClock();
  const metrics = countedMetrics(registryMetrics);
  const registry = new MemoryRegistry<string, number>({
    crypto,
    clock,
    metrics: metrics.handles,
    limits: { ...GENEROUS, ...limits },
    form: fakeForm,
  });
  return { clock, registry, source: new FakeSource(registry), metrics };
}

/** Events as texts. */
export function recordEvents(seen: string[]): DeviceEvents {
  return {
    signal: (device, ref) => void seen.push(`signal ${device.slot} ${ref}`),
    maybeMissed: (device) => void seen.push(`missed ${device.slot}`),
    dropQueue: (device, ref) => void seen.push(`drop ${device.slot} ${ref}`),
    forget: (device) => void seen.push(`forget ${device.slot}`),
  };
}

/** A registration of token number `token` under key number `key`. */
export function registration(token: number, key: number, more: Partial<Registration> = {}): Registration {
  return {
    listener: 'main',
    environment: 'production',
    tokenHash: new Uint8Array(32).fill(token),
    verifyKey: { algorithm: 'ed25519', raw: new Uint8Array(32).fill(key) },
    serverDhPublicKey: new Uint8Array(32).fill(0xd1),
    dhSecret: new Uint8Array(32).fill(0xd2),
    sealedToken: new Uint8Array(229).fill(token),
    ...more,
  };
}

/** A device whose code came back. */
export function provenDevice(registry: MemoryRegistry<string, number>, token: number, key = token): Device {
  const device = registry.register(registration(token, key))!;
  registry.setStatus(device, 'active');
  return device;
}
