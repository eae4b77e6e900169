/** Registry, source and wake engine without sockets: what they cost by themselves, in time and in memory. */
import '../../../services/subscriber/young-generation.js'; // as in the service, before everything else
import type { GatewayLink } from '../../../services/subscriber/outbound/gateway-link.js';
import type { Device } from '../../../services/subscriber/registry/device.js';
import { MemoryRegistry } from '../../../services/subscriber/registry/memory-registry.js';
import { registryMetrics } from '../../../services/subscriber/registry/metrics.js';
import { smpAddressForm } from '../../../services/subscriber/registry/smp-address-form.js';
import { smpMetrics } from '../../../services/subscriber/sources/smp/metrics.js';
import { type NotifierKey, SmpSource } from '../../../services/subscriber/sources/smp/source.js';
import { createWakeEngine } from '../../../services/subscriber/wake/engine.js';
import { wakeMetrics } from '../../../services/subscriber/wake/metrics.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import type { Outcome } from '../../../shared/relay/batch.js';
import { systemClock } from '../../../shared/run/clock.js';
import { silentLog } from '../../../shared/run/log.js';
import { Metrics } from '../../../shared/run/metrics.js';
import type { SmpQueue } from '../../../shared/smp/address.js';
import { cpuMicros, serve } from '../child.js';

const ACCEPTED: Outcome = { kind: 'accepted', reason: 'none', after: 0 };
const METADATA = new Uint8Array(144).fill(7);
/** Signals that one turn of the event loop brings, as a block does. */
const BLOCK = 80;
/** Queues of one server, and with them many servers. */
const QUEUES_PER_SERVER = 50_000;
const LISTENER = 'phones';

let pushes = 0;

/** Grants and accepts at once. */
const link: GatewayLink = {
  facts: undefined,
  available: true,
  onAvailable() {},
  exchange: async () => ({ capability: new Uint8Array(256).fill(1), deviceTag: new Uint8Array(16) }),
  prove: async () => new Uint8Array(256).fill(2),
  renew: async () => new Uint8Array(256).fill(3),
  revoke: async () => {},
  async push() {
    pushes++;
    return ACCEPTED;
  },
  askStatement: async () => 'accepted',
  hello: async () => ({ kind: 'done' }),
  async close() {},
};

function assemble(crypto: Crypto) {
  const metrics = new Metrics('');
  const base = { crypto, clock: systemClock, log: silentLog, random: Math.random };
  const registry = new MemoryRegistry<SmpQueue, NotifierKey>({
    ...base,
    metrics: metrics.add(registryMetrics),
    form: smpAddressForm,
    limits: {
      devices: 100_000,
      unverifiedDevices: 10_000,
      subscriptions: 1_000_000,
      subscriptionsPerDevice: 20_000,
    },
  });
  const source = new SmpSource({
    ...base,
    sink: registry,
    metrics: metrics.add(smpMetrics),
    dial: () => new Promise(() => {}), // never there: the queues are confirmed by hand
  });
  const wake = createWakeEngine({
    ...base,
    metrics: metrics.add(wakeMetrics),
    devices: registry,
    queues: registry,
    listeners: [
      {
        name: LISTENER,
        link,
        profile: 'simplex',
        mode: 'mutable',
        class: 'message',
        coalesceMs: 0,
        delayMs: 0,
      },
    ],
    limits: { devices: 100_000, mailboxEntries: 400_000 },
  });
  registry.connect(source, wake);
  return { crypto, registry, wake };
}

const parts = assemble(await loadCrypto());
/** Refs of the subscriptions that will be signalled, `signalled` of each device. */
let refs = new Uint32Array(0);
let signalled = 0;

async function activeDevice(): Promise<Device> {
  const { crypto, registry, wake } = parts;
  const device = registry.register({
    listener: LISTENER,
    environment: 'test',
    tokenHash: crypto.randomBytes(32),
    verifyKey: { algorithm: 'ed25519', raw: crypto.randomBytes(32) },
    serverDhPublicKey: crypto.randomBytes(32),
    dhSecret: crypto.randomBytes(32),
    sealedToken: crypto.randomBytes(229),
  });
  if (device === undefined) throw new Error('no room for a device');
  wake.verify(device);
  while (device.status === 'registered') await turn();
  const proof = await wake.prove(device, crypto.randomBytes(32));
  if (proof !== 'proven') throw new Error(proof);
  return device;
}

function subscribe(device: Device, n: number): number {
  const { crypto, registry } = parts;
  const host = `smp${Math.floor(n / QUEUES_PER_SERVER)}.example.org`;
  const server = { hosts: [host], port: '', keyHash: new Uint8Array(32).fill(9) };
  const key = { algorithm: 'ed25519', raw: crypto.randomBytes(32) } as const;
  const result = registry.subscribe(device, { server, notifierId: crypto.randomBytes(24) }, key);
  if ('refused' in result) throw new Error(result.refused);
  registry.status(result.subscription.ref, { kind: 'active' });
  return result.subscription.ref;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const api = {
  /**
   * CPU microseconds of `devices` registrations with `each` subscriptions, of which `kept` can be signalled.
   * Once a process.
   */
  async build(devices: number, each: number, kept: number): Promise<number> {
    refs = new Uint32Array(devices * kept);
    signalled = kept;
    const before = cpuMicros();
    for (let d = 0; d < devices; d++) {
      const device = await activeDevice();
      for (let i = 0; i < each; i++) {
        const ref = subscribe(device, d * each + i);
        if (i < kept) refs[d * kept + i] = ref;
      }
    }
    await turn();
    return cpuMicros() - before;
  },
  /** One signal of queue `queue` of every device: CPU microseconds and the pushes that came of it. */
  async signal(queue: number): Promise<{ micros: number; pushes: number }> {
    const { crypto, registry } = parts;
    const [before, pushesBefore] = [cpuMicros(), pushes];
    for (let at = queue, n = 1; at < refs.length; at += signalled, n++) {
      registry.signal(refs[at]!, crypto.randomBytes(24), METADATA);
      if (n % BLOCK === 0) await turn();
    }
    await turn();
    return { micros: cpuMicros() - before, pushes: pushes - pushesBefore };
  },
};
export type Wake = typeof api;
serve(api);
