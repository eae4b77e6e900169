/**
 * The table of registrations: who is registered, what lapses when, who gives way when there is no room (design
 * §4.1). Unverified registrations live a day and only evict each other; the others live 30 days from the last
 * visit of their client. Holds no subscriptions and does no I/O.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, latin1 } from '../../../shared/encoding/bytes.js';
import { Deadlines } from '../../../shared/memory/deadlines.js';
import { Slab } from '../../../shared/memory/slab.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { Device, DeviceEnvironment, InvalidReason, Registration, TokenStatus } from './device.js';
import { DEVICE_ROW_BYTES, DeviceRecord, TOKEN_ID_SIZE } from './device-record.js';
import type { registryMetrics } from './metrics.js';

const HOUR = 3_600_000;
const UNVERIFIED_LIFE_MS = 24 * HOUR;
const IDLE_LIFE_MS = 30 * 24 * HOUR;
/** Registrations of one token under different keys; whoever made up a token can't make its look-up slow. */
const MAX_PER_TOKEN = 32;

export interface DevicesOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly metrics: MetricHandles<typeof registryMetrics>;
  readonly maxDevices: number;
  readonly maxUnverified: number;
  /** Called before a record's row is overwritten. */
  readonly onRemove: (record: DeviceRecord) => void;
}

type Cause = 'asked' | 'replaced' | 'evicted' | 'unverified' | 'idle';

export class Devices {
  private readonly options: DevicesOptions;
  private readonly rows: Slab;
  private readonly bySlot: (DeviceRecord | undefined)[] = [];
  private readonly byId = new Map<string, DeviceRecord>();
  private readonly byToken = new Map<string, DeviceRecord[]>();
  private readonly unverified: Deadlines<DeviceRecord>;
  private readonly verified: Deadlines<DeviceRecord>;

  constructor(options: DevicesOptions) {
    this.options = options;
    this.rows = new Slab({ rowBytes: DEVICE_ROW_BYTES, maxRows: options.maxDevices });
    this.unverified = new Deadlines(options.clock, (record) => this.remove(record, 'unverified'));
    this.verified = new Deadlines(options.clock, (record) => this.remove(record, 'idle'));
  }

  register(registration: Registration): DeviceRecord | undefined {
    const token = tokenKey(registration.listener, registration.tokenHash);
    if (!this.makeRoom(token)) return undefined;
    const slot = this.rows.allocate()!;
    const tokenId = this.options.crypto.randomBytes(TOKEN_ID_SIZE);
    const record = new DeviceRecord(this.rows, slot, tokenId, registration);
    this.bySlot[slot] = record;
    this.byId.set(latin1(tokenId), record);
    this.link(token, record);
    this.unverified.set(record, this.options.clock.monotonic() + UNVERIFIED_LIFE_MS);
    this.count();
    return record;
  }

  at(slot: number): DeviceRecord {
    return this.bySlot[slot]!;
  }

  byTokenId(tokenId: Bytes): DeviceRecord | undefined {
    return tokenId.length === TOKEN_ID_SIZE ? this.byId.get(latin1(tokenId)) : undefined;
  }

  byRegistration(listener: string, tokenHash: Bytes, verifyKey: Bytes): DeviceRecord | undefined {
    const { crypto } = this.options;
    return this.sameToken(listener, tokenHash).find((record) =>
      crypto.equal(record.verifyKey.raw, verifyKey),
    );
  }

  /** The record of a device that is still registered. */
  record(device: Device): DeviceRecord | undefined {
    const record = this.bySlot[device.slot];
    return record === device ? record : undefined;
  }

  resealToken(record: DeviceRecord, sealedToken: Uint8Array): void {
    record.dropSealedToken();
    record.sealedToken = sealedToken.slice();
    if (record.status === 'invalid') this.setStatus(record, 'registered');
  }

  replaceToken(
    record: DeviceRecord,
    token: { tokenHash: Uint8Array; environment: DeviceEnvironment; sealedToken?: Uint8Array },
  ): boolean {
    const rival = this.byRegistration(record.listener, token.tokenHash, record.verifyKey.raw);
    if (rival !== undefined && rival !== record) return false;
    const target = tokenKey(record.listener, token.tokenHash);
    if (rival === undefined && !this.roomForToken(target)) return false;
    this.unlink(record);
    record.setTokenHash(token.tokenHash);
    record.environment = token.environment;
    record.dropSealedToken();
    record.sealedToken = token.sealedToken?.slice();
    record.generation++;
    this.link(target, record);
    this.setStatus(record, 'registered');
    return true;
  }

  setStatus(record: DeviceRecord, status: TokenStatus, reason?: InvalidReason): void {
    record.status = status;
    record.invalidReason = status === 'invalid' ? reason : undefined;
    if (status !== 'active' || record.isProven) return;
    record.isProven = true;
    this.unverified.delete(record);
    this.touch(record);
    this.count();
  }

  touch(record: DeviceRecord): void {
    if (record.isProven) this.verified.set(record, this.options.clock.monotonic() + IDLE_LIFE_MS);
  }

  removeOthers(record: DeviceRecord): void {
    for (const other of [...this.sameToken(record.listener, record.tokenHash)]) {
      if (other !== record) this.remove(other, 'replaced');
    }
  }

  remove(record: DeviceRecord, cause: Cause): void {
    this.options.onRemove(record);
    (record.isProven ? this.verified : this.unverified).delete(record);
    this.unlink(record);
    this.byId.delete(latin1(record.tokenId));
    this.bySlot[record.slot] = undefined;
    record.release();
    this.options.metrics.registry_removed_total.inc({ cause });
    this.count();
  }

  /** Forgets all records without a word. */
  close(): void {
    this.unverified.clear();
    this.verified.clear();
    for (const record of this.byId.values()) record.release();
    this.byId.clear();
    this.byToken.clear();
    this.bySlot.length = 0;
  }

  private makeRoom(token: string): boolean {
    const { maxUnverified, maxDevices } = this.options;
    if (!this.roomForToken(token)) return false;
    const full = this.unverified.size >= maxUnverified || this.rows.size >= maxDevices;
    const oldest = full ? this.unverified.first() : undefined;
    if (oldest !== undefined) this.remove(oldest, 'evicted');
    return this.rows.size < maxDevices;
  }

  private roomForToken(token: string): boolean {
    const same = this.byToken.get(token);
    if (same === undefined || same.length < MAX_PER_TOKEN) return true;
    const oldest = same.find((record) => !record.isProven);
    if (oldest !== undefined) this.remove(oldest, 'evicted');
    return oldest !== undefined;
  }

  private sameToken(listener: string, tokenHash: Bytes): DeviceRecord[] {
    return this.byToken.get(tokenKey(listener, tokenHash)) ?? [];
  }

  private link(token: string, record: DeviceRecord): void {
    const same = this.byToken.get(token);
    if (same === undefined) this.byToken.set(token, [record]);
    else same.push(record);
  }

  private unlink(record: DeviceRecord): void {
    const token = tokenKey(record.listener, record.tokenHash);
    const rest = this.sameToken(record.listener, record.tokenHash).filter((other) => other !== record);
    if (rest.length === 0) this.byToken.delete(token);
    else this.byToken.set(token, rest);
  }

  private count(): void {
    const { registry_devices } = this.options.metrics;
    registry_devices.set({ proven: 'no' }, this.unverified.size);
    registry_devices.set({ proven: 'yes' }, this.verified.size);
  }
}

const tokenKey = (listener: string, tokenHash: Bytes): string => `${listener} ${latin1(tokenHash)}`;
