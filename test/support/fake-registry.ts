/** Devices and subscriptions in plain maps, and a wake engine that pushes nowhere: what the NTF server works on. */
import { randomBytes } from 'node:crypto';
import type { Devices } from '../../services/subscriber/clients/handlers.js';
import type {
  Device,
  DeviceEnvironment,
  InvalidReason,
  Registration,
  TokenStatus,
} from '../../services/subscriber/registry/device.js';
import type {
  DeviceStates,
  SubscribeResult,
  Subscription,
} from '../../services/subscriber/registry/registry.js';
import type { FollowStatus } from '../../services/subscriber/sources/source.js';
import type { ProofResult, WakeEngine } from '../../services/subscriber/wake/wake.js';
import { sameBytes, toHex } from '../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../shared/encoding/keys.js';
import type { SmpQueue } from '../../shared/smp/address.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };
export type FakeDevice = Writable<Device> & { sealedToken: Uint8Array | undefined; resealed: number };
export type FakeSubscription = Writable<Subscription> & { queue: SmpQueue; key: Key<AuthAlgorithm> };

const copy = <A extends AuthAlgorithm>(key: Key<A>): Key<A> => ({
  algorithm: key.algorithm,
  raw: key.raw.slice(),
});

export class FakeRegistry implements Devices {
  readonly devices: FakeDevice[] = [];
  readonly subscriptions: FakeSubscription[] = [];
  touched = 0;
  /** When set, new registrations find no room. */
  isFull = false;
  /** When set, subscriptions are refused with it. */
  refusal: 'prohibited' | 'servers' | 'full' | undefined;
  private next = 0;

  register(registration: Registration): Device | undefined {
    if (this.isFull) return undefined;
    const device: FakeDevice = {
      slot: this.next++,
      listener: registration.listener,
      environment: registration.environment,
      tokenId: new Uint8Array(randomBytes(24)),
      verifyKey: copy(registration.verifyKey),
      serverDhPublicKey: registration.serverDhPublicKey.slice(),
      dhSecret: registration.dhSecret.slice(),
      tokenHash: registration.tokenHash.slice(),
      sealedToken: registration.sealedToken?.slice(),
      status: 'registered',
      invalidReason: undefined,
      generation: 0,
      checkMinutes: 0,
      subscriptions: 0,
      resealed: 0,
    };
    this.devices.push(device);
    return device;
  }

  deviceById(tokenId: Uint8Array): FakeDevice | undefined {
    return this.devices.find((device) => sameBytes(device.tokenId, tokenId));
  }

  deviceByRegistration(listener: string, tokenHash: Uint8Array, verifyKey: Uint8Array): Device | undefined {
    return this.devices.find(
      (d) =>
        d.listener === listener && sameBytes(d.tokenHash, tokenHash) && sameBytes(d.verifyKey.raw, verifyKey),
    );
  }

  resealToken(device: Device, sealedToken: Uint8Array): void {
    const own = device as FakeDevice;
    own.sealedToken = sealedToken.slice();
    own.resealed++;
    if (own.status === 'invalid') this.setStatus(own, 'registered');
  }

  replaceToken(
    device: Device,
    token: { tokenHash: Uint8Array; environment: DeviceEnvironment; sealedToken?: Uint8Array },
  ): boolean {
    const other = this.deviceByRegistration(device.listener, token.tokenHash, device.verifyKey.raw);
    if (other !== undefined && other !== device) return false;
    const own = device as FakeDevice;
    own.tokenHash = token.tokenHash.slice();
    own.environment = token.environment;
    own.sealedToken = token.sealedToken?.slice();
    own.generation++;
    this.setStatus(own, 'registered');
    return true;
  }

  remove(device: Device): void {
    this.devices.splice(this.devices.indexOf(device as FakeDevice), 1);
    for (const s of this.subscriptions.filter((s) => s.device === device)) this.unsubscribe(s);
  }

  removeOthers(device: Device): void {
    const others = this.devices.filter((d) => d !== device && sameBytes(d.tokenHash, device.tokenHash));
    for (const other of others) this.remove(other);
  }

  touch(): void {
    this.touched++;
  }

  setCheckMinutes(device: Device, minutes: number): void {
    (device as FakeDevice).checkMinutes = minutes;
  }

  setStatus(device: Device, status: TokenStatus, reason?: InvalidReason): void {
    const own = device as FakeDevice;
    own.status = status;
    own.invalidReason = reason;
  }

  subscribe(device: Device, queue: SmpQueue, key: Key<AuthAlgorithm>): SubscribeResult {
    const known = this.subscriptions.find((s) => queueName(s.queue) === queueName(queue));
    if (known !== undefined) {
      const same = known.device === device && sameBytes(known.key.raw, key.raw);
      return same ? { subscription: known, isNew: false } : { refused: 'taken' };
    }
    if (this.refusal !== undefined) return { refused: this.refusal };
    const status: FollowStatus = { kind: 'pending' };
    const id = new Uint8Array(randomBytes(24));
    const subscription = { id, device, status, ref: this.next++, queue, key: copy(key) };
    this.subscriptions.push(subscription);
    return { subscription, isNew: true };
  }

  subscriptionById(id: Uint8Array): FakeSubscription | undefined {
    return this.subscriptions.find((s) => sameBytes(s.id, id));
  }

  unsubscribe(subscription: Subscription): void {
    this.subscriptions.splice(this.subscriptions.indexOf(subscription as FakeSubscription), 1);
  }
}

const queueName = (queue: SmpQueue): string => `${toHex(queue.server.keyHash)}/${toHex(queue.notifierId)}`;

/** Draws a code for each verification and confirms the device at once, as if its push had been accepted. */
export class FakeWake implements Pick<WakeEngine, 'verify' | 'giveUp' | 'prove' | 'checksChanged'> {
  readonly codes = new Map<number, Uint8Array>();
  verifications = 0;
  /** Slots of devices whose capability was given up. */
  readonly givenUp: number[] = [];
  checksChanges = 0;
  /** When set, proofs end with it. */
  result: ProofResult | Promise<ProofResult> | undefined;
  private readonly registry: Pick<DeviceStates, 'setStatus' | 'removeOthers'>;

  constructor(registry: Pick<DeviceStates, 'setStatus' | 'removeOthers'>) {
    this.registry = registry;
  }

  verify(device: Device): void {
    this.verifications++;
    if (!this.codes.has(device.slot)) this.codes.set(device.slot, new Uint8Array(randomBytes(32)));
    if (device.status === 'registered') this.registry.setStatus(device, 'confirmed');
  }

  giveUp(device: Device): void {
    this.givenUp.push(device.slot);
  }

  async prove(device: Device, code: Uint8Array): Promise<ProofResult> {
    if (this.result !== undefined) return this.result;
    const expected = this.codes.get(device.slot);
    if (expected === undefined || !sameBytes(expected, code)) return 'wrong';
    this.registry.setStatus(device, 'active');
    this.registry.removeOthers(device);
    return 'proven';
  }

  checksChanged(): void {
    this.checksChanges++;
  }
}
