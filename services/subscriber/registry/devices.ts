/**
 * The table of registrations: who is registered, what lapses when, who gives way when there is no room (design
 * §4.1). Unverified registrations live a day and only evict each other; the others live 30 days from the last
 * visit of their client. Holds no subscriptions and does no I/O.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import type { Bytes } from '../../../shared/encoding/bytes.js';
import { Deadlines } from '../../../shared/memory/deadlines.js';
import { IdIndex, NO_ROW } from '../../../shared/memory/id-index.js';
import { NumberedRows } from '../../../shared/memory/numbered-rows.js';
import { Slab } from '../../../shared/memory/slab.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { Device, DeviceEnvironment, InvalidReason, Registration, TokenStatus } from './device.js';
import { AT, DEVICE_ROW_BYTES, DeviceRecord } from './device-record.js';
import { type DeviceState, TOKEN_ID_SIZE } from './device-state.js';
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
  private readonly restored: NumberedRows;
  private readonly bySlot: (DeviceRecord | undefined)[] = [];
  /** Ids and token hashes are random to everyone else, so their first bytes serve as hashes. */
  private readonly ids = new IdIndex((row) => this.rows.u32(row, AT.tokenId));
  private readonly tokens = new IdIndex((row) => this.rows.u32(row, AT.tokenHash));
  private readonly unverified: Deadlines<DeviceRecord>;
  private readonly verified: Deadlines<DeviceRecord>;

  constructor(options: DevicesOptions) {
    this.options = options;
    this.rows = new Slab({ rowBytes: DEVICE_ROW_BYTES, maxRows: options.maxDevices });
    this.restored = new NumberedRows(this.rows);
    this.unverified = new Deadlines(options.clock, (record) => this.remove(record, 'unverified'));
    this.verified = new Deadlines(options.clock, (record) => this.remove(record, 'idle'));
  }

  register(registration: Registration): DeviceRecord | undefined {
    if (!this.makeRoom(registration)) return undefined;
    const slot = this.rows.allocate()!;
    const tokenId = this.options.crypto.randomBytes(TOKEN_ID_SIZE);
    const record = new DeviceRecord(this.rows, slot, tokenId, registration);
    this.bySlot[slot] = record;
    this.ids.add(slot);
    this.tokens.add(slot);
    this.unverified.set(record, this.options.clock.monotonic() + UNVERIFIED_LIFE_MS);
    this.count();
    return record;
  }

  at(slot: number): DeviceRecord {
    return this.bySlot[slot]!;
  }

  byTokenId(tokenId: Bytes): DeviceRecord | undefined {
    if (tokenId.length !== TOKEN_ID_SIZE) return undefined;
    for (let row = this.ids.first(firstWord(tokenId)); row !== NO_ROW; row = this.ids.next(row)) {
      if (this.rows.equals(row, AT.tokenId, tokenId)) return this.bySlot[row];
    }
    return undefined;
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
    if (rival === undefined && !this.roomForToken(record.listener, token.tokenHash)) return false;
    this.tokens.remove(record.slot);
    record.setTokenHash(token.tokenHash);
    this.tokens.add(record.slot);
    record.environment = token.environment;
    record.dropSealedToken();
    record.sealedToken = token.sealedToken?.slice();
    record.generation++;
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
    for (const other of this.sameToken(record.listener, record.tokenHash)) {
      if (other !== record) this.remove(other, 'replaced');
    }
  }

  remove(record: DeviceRecord, cause: Cause): void {
    this.options.onRemove(record);
    (record.isProven ? this.verified : this.unverified).delete(record);
    this.ids.remove(record.slot);
    this.tokens.remove(record.slot);
    this.bySlot[record.slot] = undefined;
    record.release();
    this.options.metrics.registry_removed_total.inc({ cause });
    this.count();
  }

  /** In ascending order of slots; arrays are views. */
  *states(): Iterable<DeviceState> {
    for (const record of this.bySlot) if (record !== undefined) yield record.state;
  }

  /** Takes over a predecessor's record. Throws `RangeError` where there is no room for its slot. */
  restore(state: DeviceState): void {
    const { slot, tokenId, sealedToken, generation, status, invalidReason, isProven, dueAt } = state;
    this.restored.take(slot);
    const { environment, checkMinutes, serversSince, newServers } = state;
    const { listener, tokenHash, verifyKey, serverDhPublicKey, dhSecret } = state;
    const registration = { listener, environment, tokenHash, verifyKey, serverDhPublicKey, dhSecret };
    const record = new DeviceRecord(this.rows, slot, tokenId, {
      ...registration,
      ...(sealedToken && { sealedToken }),
    });
    Object.assign(record, { generation, status, invalidReason, isProven });
    Object.assign(record, { checkMinutes, serversSince, newServers });
    this.bySlot[slot] = record;
    this.ids.add(slot);
    this.tokens.add(slot);
    (isProven ? this.verified : this.unverified).set(record, dueAt);
  }

  /** All were restored. */
  begin(): void {
    this.restored.end();
    this.count();
  }

  /** Forgets all records without a word. */
  close(): void {
    this.unverified.clear();
    this.verified.clear();
    for (const record of this.bySlot) record?.release();
    this.bySlot.length = 0;
  }

  private makeRoom({ listener, tokenHash }: Registration): boolean {
    const { maxUnverified, maxDevices } = this.options;
    if (!this.roomForToken(listener, tokenHash)) return false;
    const full = this.unverified.size >= maxUnverified || this.rows.size >= maxDevices;
    const oldest = full ? this.unverified.first() : undefined;
    if (oldest !== undefined) this.remove(oldest, 'evicted');
    return this.rows.size < maxDevices;
  }

  private roomForToken(listener: string, tokenHash: Bytes): boolean {
    const same = this.sameToken(listener, tokenHash);
    if (same.length < MAX_PER_TOKEN) return true;
    const unverified = same.filter((record) => !record.isProven);
    if (unverified.length === 0) return false;
    this.remove(
      unverified.reduce((oldest, record) => (record.dueAt <= oldest.dueAt ? record : oldest)),
      'evicted',
    );
    return true;
  }

  private sameToken(listener: string, tokenHash: Bytes): DeviceRecord[] {
    const same: DeviceRecord[] = [];
    for (let row = this.tokens.first(firstWord(tokenHash)); row !== NO_ROW; row = this.tokens.next(row)) {
      if (!this.rows.equals(row, AT.tokenHash, tokenHash)) continue;
      const record = this.at(row);
      if (record.listener === listener) same.push(record);
    }
    return same;
  }

  private count(): void {
    const { registry_devices } = this.options.metrics;
    registry_devices.set({ proven: 'no' }, this.unverified.size);
    registry_devices.set({ proven: 'yes' }, this.verified.size);
  }
}

const firstWord = (bytes: Bytes): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
