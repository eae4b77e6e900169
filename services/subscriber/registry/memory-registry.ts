/**
 * The registry: ties the tables of devices and subscriptions to a source and to the wake engine, and applies the
 * rules of design §4.1. No I/O of its own: it tells the source what to follow and hears what came of it.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { sameBytes, wipe } from '../../../shared/encoding/bytes.js';
import { NO_ROW } from '../../../shared/memory/id-index.js';
import { HASH_KEY_BYTES, KeyedHash } from '../../../shared/memory/keyed-hash.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { FollowStatus, Source, SourceSink } from '../sources/source.js';
import type { Device, DeviceEnvironment, InvalidReason, Registration, TokenStatus } from './device.js';
import type { DeviceRecord } from './device-record.js';
import type { DeviceState } from './device-state.js';
import { Devices } from './devices.js';
import type { registryMetrics } from './metrics.js';
import type {
  AddressForm,
  DeviceEvents,
  DeviceRegistry,
  DeviceStates,
  QueuePlaces,
  SubscribeResult,
  Subscription,
  SubscriptionRegistry,
} from './registry.js';
import { SubscriptionIds } from './subscription-ids.js';
import type { RegistryKeys, SubscriptionState } from './subscription-state.js';
import { Subscriptions } from './subscriptions.js';

const DAY_MS = 24 * 3_600_000;
/** New servers that one device may bring in 24 hours (design §3). */
const NEW_SERVERS_A_DAY = 20;
/** Of a device with many, to find another server. */
const SUBSCRIPTIONS_LOOKED_AT = 64;

export interface RegistryLimits {
  readonly devices: number;
  readonly unverifiedDevices: number;
  readonly subscriptions: number;
  readonly subscriptionsPerDevice: number;
}

export interface RegistryOptions<Address> {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly metrics: MetricHandles<typeof registryMetrics>;
  readonly limits: RegistryLimits;
  readonly form: AddressForm<Address>;
}

export class MemoryRegistry<Address, Credentials>
  implements
    DeviceRegistry,
    SubscriptionRegistry<Address, Credentials>,
    DeviceStates,
    QueuePlaces<Address>,
    SourceSink
{
  private readonly options: RegistryOptions<Address>;
  private readonly devices: Devices;
  private readonly subscriptions: Subscriptions;
  private readonly ids: SubscriptionIds;
  private readonly queueKey: Uint8Array;
  private queueHash: KeyedHash;
  private source!: Source<Address, Credentials>;
  private events!: DeviceEvents;

  constructor(options: RegistryOptions<Address>) {
    const { crypto, clock, metrics, limits } = options;
    this.options = options;
    this.devices = new Devices({
      crypto,
      clock,
      metrics,
      maxDevices: limits.devices,
      maxUnverified: limits.unverifiedDevices,
      onRemove: (record) => this.forget(record),
    });
    this.subscriptions = new Subscriptions(limits.subscriptions);
    this.ids = new SubscriptionIds(crypto);
    this.queueKey = crypto.randomBytes(HASH_KEY_BYTES);
    this.queueHash = new KeyedHash(this.queueKey);
  }

  /** The neighbours, once they exist: to be called before anything else. */
  connect(source: Source<Address, Credentials>, events: DeviceEvents): void {
    this.source = source;
    this.events = events;
  }

  /** Overwrites all secrets; nothing works afterwards. */
  close(): void {
    this.devices.close();
    wipe(this.ids.key, this.queueKey);
  }

  /** Views, and the last serial. */
  get keys(): RegistryKeys {
    return { ids: this.ids.key, queues: this.queueKey, serial: this.subscriptions.serial };
  }

  /** In ascending order of slots; arrays are views. */
  deviceStates(): Iterable<DeviceState> {
    return this.devices.states();
  }

  /** In ascending order of rows, each with the source's handle. */
  *subscriptionStates(): Iterable<readonly [state: SubscriptionState, handle: number]> {
    for (const state of this.subscriptions.states()) yield [state, this.subscriptions.handle(state.row)];
  }

  /** Takes over a predecessor's keys, before anything else of it. */
  restoreKeys({ ids, queues, serial }: RegistryKeys): void {
    this.ids.key.set(ids);
    this.queueKey.set(queues);
    this.queueHash = new KeyedHash(this.queueKey);
    this.subscriptions.serial = serial;
  }

  /** Takes over a device, and returns it. Throws `RangeError` where there is no room for it. */
  restoreDevice(state: DeviceState): Device {
    this.devices.restore(state);
    return this.devices.at(state.slot);
  }

  /** A device that was taken over, undefined where there is none in this slot. */
  deviceAt(slot: number): Device | undefined {
    return this.devices.at(slot);
  }

  /** Takes over a subscription whose queue the source follows already. Throws `RangeError` as above. */
  restoreSubscription(state: SubscriptionState, handle: number): void {
    const record: DeviceRecord | undefined = this.devices.at(state.device);
    if (record === undefined) throw new RangeError('subscription of no device');
    this.subscriptions.restore(record, state);
    this.subscriptions.setHandle(state.row, handle);
  }

  /** All was taken over. */
  begin(): void {
    this.devices.begin();
    this.subscriptions.begin();
    this.count();
  }

  /** The source's handle of a subscription that was taken over; undefined where it is gone, whoever has its number now. */
  restoredHandle(ref: number): number | undefined {
    return this.subscriptions.isRestored(ref) ? this.subscriptions.handle(ref) : undefined;
  }

  /** Of all that were taken over and are still there. */
  *restoredHandles(): Iterable<number> {
    for (const row of this.subscriptions.restoredRows()) yield this.subscriptions.handle(row);
  }

  register(registration: Registration): Device | undefined {
    const record = this.devices.register(registration);
    if (record === undefined) this.refused('devices');
    return record;
  }

  deviceById(tokenId: Uint8Array): Device | undefined {
    return this.devices.byTokenId(tokenId);
  }

  deviceByRegistration(listener: string, tokenHash: Uint8Array, verifyKey: Uint8Array): Device | undefined {
    return this.devices.byRegistration(listener, tokenHash, verifyKey);
  }

  resealToken(device: Device, sealedToken: Uint8Array): void {
    const record = this.devices.record(device);
    if (record !== undefined) this.devices.resealToken(record, sealedToken);
  }

  replaceToken(
    device: Device,
    token: { tokenHash: Uint8Array; environment: DeviceEnvironment; sealedToken?: Uint8Array },
  ): boolean {
    const record = this.devices.record(device);
    return record !== undefined && this.devices.replaceToken(record, token);
  }

  remove(device: Device): void {
    const record = this.devices.record(device);
    if (record !== undefined) this.devices.remove(record, 'asked');
  }

  removeOthers(device: Device): void {
    const record = this.devices.record(device);
    if (record !== undefined) this.devices.removeOthers(record);
  }

  touch(device: Device): void {
    const record = this.devices.record(device);
    if (record !== undefined) this.devices.touch(record);
  }

  setCheckMinutes(device: Device, minutes: number): void {
    const record = this.devices.record(device);
    if (record !== undefined) record.checkMinutes = minutes;
  }

  setStatus(device: Device, status: TokenStatus, reason?: InvalidReason): void {
    const record = this.devices.record(device);
    if (record !== undefined) this.devices.setStatus(record, status, reason);
  }

  sealedToken(device: Device): Uint8Array | undefined {
    return this.devices.record(device)?.sealedToken;
  }

  dropSealedToken(device: Device): void {
    this.devices.record(device)?.dropSealedToken();
  }

  subscribe(device: Device, address: Address, credentials: Credentials): SubscribeResult {
    const record = this.devices.record(device);
    if (record?.isProven !== true) return this.refuse('taken', 'unproven');
    const encoded = this.options.form.encode(address);
    const hash = this.queueHash.of(encoded);
    for (const row of this.subscriptions.withHash(hash)) {
      const isOwn = this.subscriptions.deviceSlot(row) === record.slot;
      if ((!isOwn && !this.subscriptions.holdsQueue(row)) || !this.isAt(row, encoded)) continue;
      const isSame = isOwn && this.source.holds(this.subscriptions.handle(row), credentials);
      return isSame ? { subscription: this.subscription(row), isNew: false } : this.refuse('taken', 'taken');
    }
    return this.follow(record, address, credentials, hash);
  }

  subscriptionById(id: Uint8Array): Subscription | undefined {
    const row = this.ids.row(id);
    if (row === undefined || !this.subscriptions.has(row)) return undefined;
    return this.ids.isFor(id, row, this.subscriptions.serialOf(row)) ? this.subscription(row) : undefined;
  }

  unsubscribe(subscription: Subscription): void {
    const live = this.subscriptionById(subscription.id);
    const record = live && this.devices.record(live.device);
    if (record === undefined) return;
    this.events.dropQueue(record, subscription.ref);
    this.drop(record, subscription.ref);
    this.count();
  }

  address(ref: number): Address {
    return this.source.address(this.subscriptions.handle(ref));
  }

  server(ref: number): number {
    return this.options.form.serverOf(this.address(ref));
  }

  subscriptionId(ref: number): Uint8Array {
    return this.ids.issue(ref, this.subscriptions.serialOf(ref));
  }

  isOnlyServer(ref: number): boolean {
    const server = this.server(ref);
    const { firstSubscription } = this.deviceOf(ref);
    for (const row of this.subscriptions.from(firstSubscription, SUBSCRIPTIONS_LOOKED_AT)) {
      if (this.server(row) !== server) return false;
    }
    return true;
  }

  /** The subscription whose device gets the signals of this queue. */
  holderOf(address: Address): number | undefined {
    const encoded = this.options.form.encode(address);
    for (const row of this.subscriptions.withHash(this.queueHash.of(encoded))) {
      if (this.subscriptions.holdsQueue(row) && this.isAt(row, encoded)) return row;
    }
    return undefined;
  }

  status(ref: number, status: FollowStatus): void {
    if (!this.subscriptions.has(ref)) return;
    if (status.kind === 'active') this.confirmed(ref);
    else {
      const isKept = status.kind === 'pending' || status.kind === 'inactive';
      if (!isKept) this.subscriptions.setHoldsQueue(ref, false);
      this.subscriptions.setStatus(ref, status);
    }
  }

  signal(ref: number, nonce: Uint8Array, metadata: Uint8Array): void {
    if (this.holds(ref)) this.events.signal(this.deviceOf(ref), ref, nonce, metadata);
    else this.options.metrics.registry_signals_dropped_total.inc();
  }

  maybeMissed(ref: number): void {
    if (this.holds(ref)) this.events.maybeMissed(this.deviceOf(ref));
  }

  /** The first registration whose NSUB succeeded keeps the queue; to a later one it is as if refused. */
  private confirmed(ref: number): void {
    const isFirst = this.subscriptions.holdsQueue(ref) || !this.isHeldByAnother(ref);
    if (!isFirst) this.options.metrics.registry_rivals_total.inc();
    this.subscriptions.setHoldsQueue(ref, isFirst);
    this.subscriptions.setStatus(ref, { kind: isFirst ? 'active' : 'auth' });
  }

  private holds(ref: number): boolean {
    return this.subscriptions.has(ref) && this.subscriptions.holdsQueue(ref);
  }

  private deviceOf(row: number): DeviceRecord {
    return this.devices.at(this.subscriptions.deviceSlot(row));
  }

  private subscription(row: number): Subscription {
    return {
      id: this.subscriptionId(row),
      device: this.deviceOf(row),
      status: this.subscriptions.status(row),
      ref: row,
    };
  }

  private follow(
    record: DeviceRecord,
    address: Address,
    credentials: Credentials,
    hash: number,
  ): SubscribeResult {
    if (record.subscriptions >= this.options.limits.subscriptionsPerDevice) {
      return this.refuse('full', 'per-device');
    }
    const isNewServer = !this.source.knowsServer(address);
    if (isNewServer && !this.mayBringServer(record)) return this.refuse('servers', 'servers');
    const row = this.subscriptions.add(record, hash);
    if (row === undefined) return this.refuse('full', 'full');
    const followed = this.source.follow(address, credentials, row, record.slot);
    if ('refused' in followed) {
      this.subscriptions.remove(record, row);
      return this.refuse(followed.refused, followed.refused);
    }
    this.subscriptions.setHandle(row, followed.handle);
    if (isNewServer) record.newServers++;
    this.count();
    return { subscription: this.subscription(row), isNew: true };
  }

  private mayBringServer(record: DeviceRecord): boolean {
    const now = this.options.clock.monotonic();
    if (now - record.serversSince >= DAY_MS) {
      record.serversSince = now;
      record.newServers = 0;
    }
    return record.newServers < NEW_SERVERS_A_DAY;
  }

  private isAt(row: number, encoded: Uint8Array): boolean {
    return sameBytes(this.options.form.encode(this.address(row)), encoded);
  }

  private isHeldByAnother(ref: number): boolean {
    const encoded = this.options.form.encode(this.address(ref));
    for (const row of this.subscriptions.withHash(this.subscriptions.queueHash(ref))) {
      if (row !== ref && this.subscriptions.holdsQueue(row) && this.isAt(row, encoded)) return true;
    }
    return false;
  }

  /** A device goes: its mailbox first, then its subscriptions. */
  private forget(record: DeviceRecord): void {
    this.events.forget(record);
    while (record.firstSubscription !== NO_ROW) this.drop(record, record.firstSubscription);
    this.count();
  }

  private drop(record: DeviceRecord, row: number): void {
    this.source.unfollow(this.subscriptions.handle(row));
    this.subscriptions.remove(record, row);
  }

  private count(): void {
    this.options.metrics.registry_subscriptions.set(this.subscriptions.size);
  }

  private refused(cause: 'devices'): void {
    this.options.metrics.registry_refused_total.inc({ cause });
  }

  private refuse(
    refused: 'taken' | 'prohibited' | 'servers' | 'full',
    cause: 'unproven' | 'taken' | 'prohibited' | 'servers' | 'per-device' | 'full',
  ): SubscribeResult {
    this.options.metrics.registry_refused_total.inc({ cause });
    return { refused };
  }
}
