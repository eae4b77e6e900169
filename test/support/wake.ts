/** A wake engine on a fake gateway link, a real registry and a virtual clock. */
import type { Device, DeviceEnvironment } from '../../services/subscriber/registry/device.js';
import { createWakeEngine } from '../../services/subscriber/wake/engine.js';
import { wakeMetrics } from '../../services/subscriber/wake/metrics.js';
import type { PushStyle } from '../../services/subscriber/wake/route.js';
import type { WakeEngine } from '../../services/subscriber/wake/wake.js';
import { cbDecrypt } from '../../shared/crypto/box.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { decodeItems } from '../../shared/ntf/payload.js';
import { messageKey } from '../../shared/push/keys.js';
import { decodePush, type PorchlightPush } from '../../shared/push/porchlight-profile.js';
import type { Frame } from '../../shared/relay/batch.js';
import { silentLog } from '../../shared/run/log.js';
import type { SmpQueue } from '../../shared/smp/address.js';
import { ACCEPTED, FakeLink } from './fake-link.js';
import { type CountedMetrics, countedMetrics } from './metrics.js';
import { type RegistryRig, registration, registryRig } from './registry.js';

export interface WakeRig extends RegistryRig {
  readonly link: FakeLink;
  readonly engine: WakeEngine;
  readonly wake: CountedMetrics<typeof wakeMetrics>;
  /** A device whose code came back; nothing of that remains in `link.sent`. */
  active(token: number, environment?: DeviceEnvironment): Promise<Device>;
  /** A signal of each queue, with metadata of the queue's number. */
  signal(device: Device, ...refs: readonly number[]): void;
  /** The queues of a message push, in its order; in profile `porchlight` of any boxed push. */
  opened(device: Device, frame: Frame): number[];
  /** A push of profile `porchlight`. */
  push(device: Device, frame: Frame): PorchlightPush;
}

export interface WakeRigOptions {
  /** The listener's choices; profile `simplex`, mode `mutable`, no waiting unless given. */
  readonly style?: Partial<PushStyle>;
  /** Whether devices follow one server only, in the eyes of the registry. */
  readonly onlyServer?: boolean;
  /** Instead of `chance`. */
  readonly random?: () => number;
  readonly mailboxEntries?: number;
  /** Whether devices in the environment `test` have budgets. */
  readonly testBudgets?: boolean;
  /** Where checks fall in the time over which they are spread: 0 first, 1 last. */
  readonly chance?: number;
  /** Host of a queue's server, to make long addresses. */
  readonly host?: (ref: number) => string;
}

export const CODE = new Uint8Array(32).fill(0xc0);

/** Queue `ref` is at server ref / 100. */
const queueOf = (ref: number, host: string): SmpQueue => ({
  server: { hosts: [host], port: '', keyHash: new Uint8Array(32).fill(ref / 100) },
  notifierId: new Uint8Array(24).fill(ref),
});

export function wakeRig(crypto: Crypto, options: WakeRigOptions = {}): WakeRig {
  const rig = registryRig(crypto);
  const link = new FakeLink();
  const wake = countedMetrics(wakeMetrics);
  const host = options.host ?? (() => 'smp.example');
  const engine = createWakeEngine({
    crypto,
    clock: rig.clock,
    log: silentLog,
    metrics: wake.handles,
    listeners: [
      {
        name: 'main',
        link,
        profile: 'simplex',
        mode: 'mutable',
        class: 'message',
        coalesceMs: 0,
        delayMs: 0,
        ...options.style,
      },
    ],
    devices: rig.registry,
    queues: {
      address: (ref) => queueOf(ref, host(ref)),
      server: (ref) => Math.floor(ref / 100),
      subscriptionId: (ref) => new Uint8Array(24).fill(ref),
      isOnlyServer: () => options.onlyServer ?? true,
    },
    random: options.random ?? (() => options.chance ?? 0.5),
    limits: {
      devices: 300,
      mailboxEntries: options.mailboxEntries ?? 1_000,
      testBudgets: options.testBudgets ?? true,
    },
  });
  rig.registry.connect(rig.source, engine);
  const push = (device: Device, { nonce, payload }: Frame): PorchlightPush =>
    decodePush(crypto.secretboxOpen(messageKey(crypto, device.dhSecret), nonce, payload)!);
  return {
    ...rig,
    link,
    engine,
    wake,
    async active(token, environment = 'production') {
      const device = rig.registry.register(registration(token, token, { environment }))!;
      const [rule, judge] = [link.rule, link.judge];
      link.rule = () => ACCEPTED;
      link.judge = () => 'good';
      engine.verify(device);
      await rig.clock.advance(0);
      await engine.prove(device, CODE);
      await rig.clock.advance(0);
      link.rule = rule;
      link.judge = judge;
      link.sent.length = 0;
      return device;
    },
    signal(device, ...refs) {
      for (const ref of refs) {
        engine.signal(device, ref, crypto.randomBytes(24), new Uint8Array(144).fill(ref));
      }
    },
    push,
    opened(device, frame) {
      if (options.style?.profile === 'porchlight') {
        return push(device, frame).entries.map(({ subscriptionId }) => subscriptionId[0]!);
      }
      const items = decodeItems(cbDecrypt(crypto, device.dhSecret, frame.nonce, frame.payload)!);
      return items.map(({ queue }) => queue.notifierId[0]!);
    },
  };
}
