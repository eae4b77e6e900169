/**
 * Per-device limits. A device is known here only as a keyed hash under a key that changes daily; counts move over
 * to the new key when the device is next seen, and what was not seen for a day is gone (design §6).
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { latin1, wipe } from '../../../shared/encoding/bytes.js';
import type { FrameKind } from '../../../shared/relay/batch.js';
import { APP_TAG_SIZE, environmentCode } from '../../../shared/relay/identity.js';
import { MAX_TOKEN_SIZE } from '../../../shared/relay/sealed-token.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { OpenCapability } from '../capabilities/capability.js';
import { BucketTable } from './bucket-table.js';
import {
  type Caps,
  capsOfShare,
  DEVICE_CAP_SECONDS,
  DEVICE_COLUMNS,
  OWN_COLUMNS,
  STRANGER_COLUMNS,
} from './caps.js';
import { JointHash } from './joint-hash.js';

const DAY_MS = 24 * 3_600_000;
const KEY_SIZE = 32;
const HASH_SIZE = 16;
const MOST_HASHED = 1 + APP_TAG_SIZE + MAX_TOKEN_SIZE;

/** Why a push waits: the asker's own allowance, the device's, or no room to count it. */
export interface DeviceRefusal {
  readonly reason: 'budget' | 'device' | 'load';
  readonly afterSeconds: number;
}

const FULL: DeviceRefusal = { reason: 'load', afterSeconds: 300 };

/** One day's key and the buckets under it. */
class Day {
  readonly key: Uint8Array;
  readonly own: BucketTable;
  readonly device: BucketTable;
  readonly strangers: BucketTable;

  constructor(key: Uint8Array, capacity: number) {
    this.key = key;
    this.own = new BucketTable(OWN_COLUMNS, capacity);
    this.device = new BucketTable(DEVICE_COLUMNS, capacity);
    this.strangers = new BucketTable(STRANGER_COLUMNS, capacity);
  }
}

type TableName = 'own' | 'device' | 'strangers';

export interface DeviceLimitsOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  /** Devices that are counted at once; strangers' devices have as much room, apart. */
  readonly capacity: number;
  /** Whether devices of the environment `test` are limited too; they are nobody's phones. */
  readonly limitsTest?: boolean;
  /** How many gateways these limits are divided among; 1 unless given. */
  readonly gateways?: number;
}

export class DeviceLimits {
  private readonly options: DeviceLimitsOptions;
  private readonly caps: Caps;
  private today: Day;
  private yesterday: Day;
  private begun: number;
  private readonly names: JointHash;

  constructor(options: DeviceLimitsOptions) {
    this.options = options;
    this.names = new JointHash(options.crypto, MOST_HASHED);
    this.caps = capsOfShare(options.gateways ?? 1);
    this.begun = options.clock.monotonic();
    this.today = this.newDay();
    this.yesterday = this.newDay();
  }

  /** Devices that have buckets now. */
  get size(): number {
    return this.today.own.size + this.today.strangers.size;
  }

  /**
   * Takes one push of `kind` to the capability's device; undefined = go.
   * @param onNew called when a proven device is seen for the first time under today's key
   */
  take(open: OpenCapability, kind: FrameKind, onNew?: () => void): DeviceRefusal | undefined {
    const refusal = this.judge(open, kind, onNew);
    const exempt = open.environment === 'test' && this.options.limitsTest === false;
    return exempt ? undefined : refusal;
  }

  /** Apple knows no phone by this unproven token: its row makes room first, or made-up tokens would fill the table. */
  forget(open: OpenCapability): void {
    const row = this.today.strangers.find(this.hash(this.today, open));
    if (row !== undefined) this.today.strangers.release(row);
  }

  close(): void {
    wipe(this.today.key, this.yesterday.key);
  }

  private judge(open: OpenCapability, kind: FrameKind, onNew?: () => void): DeviceRefusal | undefined {
    this.turn();
    const now = this.options.clock.monotonic();
    const hash = this.hash(this.today, open);
    if (!open.proven) return this.takeStranger(open, hash, now);
    const own = this.row('own', open, hash + latin1(open.subscriberTag), now, onNew);
    const device = this.row('device', open, hash, now);
    if (own === undefined || device === undefined) return FULL;
    const wait = this.today.own.wait(own, this.caps.own[kind], now);
    if (wait > 0) return { reason: 'budget', afterSeconds: Math.ceil(wait / 1000) };
    if (this.today.device.wait(device, this.caps.device[kind], now) > 0) {
      return { reason: 'device', afterSeconds: DEVICE_CAP_SECONDS[kind] };
    }
    this.today.own.take(own, this.caps.own[kind], now);
    this.today.device.take(device, this.caps.device[kind], now);
    return undefined;
  }

  private takeStranger(open: OpenCapability, hash: string, now: number): DeviceRefusal | undefined {
    const row = this.row('strangers', open, hash, now);
    if (row === undefined) return FULL;
    const buckets = this.caps.strangers;
    const wait = this.today.strangers.wait(row, buckets, now);
    if (wait > 0) return { reason: 'device', afterSeconds: Math.ceil(wait / 1000) };
    this.today.strangers.take(row, buckets, now);
    return undefined;
  }

  /** Today's row, made where needed, with yesterday's counts taken over. */
  private row(
    name: TableName,
    open: OpenCapability,
    key: string,
    now: number,
    onNew?: () => void,
  ): number | undefined {
    const found = this.today[name].find(key);
    if (found !== undefined) return found;
    const row = this.today[name].add(key, now);
    if (row === undefined) return undefined;
    onNew?.();
    const before = this.yesterday[name];
    if (before.size === 0) return row;
    const oldKey = this.hash(this.yesterday, open) + key.slice(HASH_SIZE);
    const old = before.find(oldKey);
    if (old !== undefined) this.today[name].copy(row, before, old);
    return row;
  }

  /** Keyed hash of environment ‖ appTag ‖ token under the day's key, one character a byte. */
  private hash(day: Day, { environment, appTag, token }: OpenCapability): string {
    return latin1(this.names.of(day.key, Uint8Array.of(environmentCode(environment)), appTag, token));
  }

  /** Changes the key once a day; after two days without traffic both days are new. */
  private turn(): void {
    const now = this.options.clock.monotonic();
    const passed = now - this.begun;
    if (passed < DAY_MS) return;
    wipe(this.yesterday.key);
    this.yesterday = passed < 2 * DAY_MS ? this.today : this.newDay();
    this.today = this.newDay();
    this.begun = now;
  }

  private newDay(): Day {
    const { crypto, capacity } = this.options;
    return new Day(crypto.randomBytes(KEY_SIZE), capacity);
  }
}
