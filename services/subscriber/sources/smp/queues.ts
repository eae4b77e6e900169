/**
 * The queues that are followed: rows in pooled memory, found by (server, notifierId). Several entries may name the
 * same queue, since an unconfirmed one keeps no one out (design §4.1); at most one of them is confirmed. Entries of
 * a server stand in its lists, which are threaded through the rows. Private keys are overwritten when dropped.
 */
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { wipe } from '../../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../../shared/encoding/keys.js';
import { IdIndex, NO_ROW } from '../../../../shared/memory/id-index.js';
import { HASH_KEY_BYTES, KeyedHash } from '../../../../shared/memory/keyed-hash.js';
import { Slab } from '../../../../shared/memory/slab.js';
import { ID_SIZE } from '../../../../shared/smp/constants.js';
import type { FollowStatus } from '../source.js';
import { ALGORITHMS, KEY_BYTES, type QueueState } from './source-state.js';
import { statusByte, statusOf, UNREPORTED } from './statuses.js';

/** The row: 109 bytes, and 6 in the index, make 115 a queue. */
const AT = {
  id: 0,
  key: 24,
  ref: 88,
  server: 92,
  spelling: 94,
  previous: 96,
  next: 100,
  algorithm: 104,
  status: 105,
  list: 106,
  flags: 107,
  failures: 108,
} as const;
const ROW_BYTES = 109;

const SEED_BYTES = 32;

/** Facts about an entry, as bits. */
export const FLAG = {
  /** Its NSUB succeeded: signals of the queue belong to it. */
  confirmed: 1,
  /** Signals may have been lost; to be told once it is subscribed again. */
  missed: 2,
  /** Unfollowed while its NSUB was in flight: the row is freed when the answer can no longer come. */
  abandoned: 4,
  /** The server subscribes it with our service: NSUBS covers it. */
  associated: 8,
  /** A successor has taken it over: the connection has no more to say of it. */
  ended: 16,
} as const;

/** A list of entries, first in first out. */
export interface QueueList {
  /** First and last row + 1, 0 = none. */
  head: number;
  tail: number;
  size: number;
}

export const emptyList = (): QueueList => ({ head: 0, tail: 0, size: 0 });

export interface QueueEntry {
  readonly server: number;
  readonly spelling: number;
  /** 24 bytes. */
  readonly notifierId: Uint8Array;
  readonly key: Key<AuthAlgorithm>;
  readonly ref: number;
}

export class QueueTable {
  private readonly crypto: Crypto;
  private readonly slab: Slab;
  private readonly hash: KeyedHash;
  private readonly index: IdIndex;

  constructor(crypto: Crypto, maxQueues: number) {
    this.crypto = crypto;
    this.slab = new Slab({ rowBytes: ROW_BYTES, maxRows: maxQueues });
    this.hash = new KeyedHash(crypto.randomBytes(HASH_KEY_BYTES));
    this.index = new IdIndex((row) => this.hash.of(this.notifierId(row)));
  }

  /** Entries, abandoned ones included. */
  get size(): number {
    return this.slab.size;
  }

  get reservedBytes(): number {
    return this.slab.reservedBytes;
  }

  /**
   * A new entry, nothing reported of it yet, in no list; copies id and key. Undefined when the table is full.
   * @param keptKey the key as another table kept it
   */
  add(entry: QueueEntry, keptKey?: Uint8Array): number | undefined {
    const row = this.slab.allocate();
    if (row === undefined) return undefined;
    this.slab.bytes(row, AT.id, ID_SIZE).set(entry.notifierId);
    this.slab.setU8(row, AT.algorithm, ALGORITHMS.indexOf(entry.key.algorithm));
    if (keptKey !== undefined) this.key(row).raw.set(keptKey);
    else this.writeKey(row, entry.key);
    this.slab.setU32(row, AT.ref, entry.ref);
    this.slab.setU16(row, AT.server, entry.server);
    this.slab.setU16(row, AT.spelling, entry.spelling);
    this.slab.setU8(row, AT.status, UNREPORTED);
    this.index.add(row);
    return row;
  }

  /** Everything a successor needs. Arrays are views. */
  state(row: number): QueueState {
    const { algorithm, raw: key } = this.key(row);
    return {
      spelling: this.spelling(row),
      notifierId: this.notifierId(row),
      algorithm,
      key,
      status: this.status(row),
      isConfirmed: this.has(row, FLAG.confirmed),
      isMissed: this.has(row, FLAG.missed),
      isAssociated: this.has(row, FLAG.associated),
    };
  }

  /** A predecessor's entry, with its key as it was kept; associated with nothing yet. */
  restore(place: Pick<QueueEntry, 'server' | 'spelling' | 'ref'>, state: QueueState): number | undefined {
    const { notifierId, algorithm, key } = state;
    const row = this.add({ ...place, notifierId, key: { algorithm, raw: key } }, key);
    if (row === undefined) return undefined;
    this.setStatus(row, state.status);
    this.set(row, FLAG.confirmed, state.isConfirmed);
    this.set(row, FLAG.missed, state.isMissed);
    return row;
  }

  /** Overwrites everything; the table is useless afterwards. */
  wipe(): void {
    this.slab.wipe();
  }

  /** Takes the entry out of the index and overwrites its key; the row stays until `free`. */
  forget(row: number): void {
    this.index.remove(row);
    this.slab.bytes(row, AT.key, AT.ref - AT.key).fill(0);
  }

  /** Gives back the row of a forgotten entry that stands in no list. */
  free(row: number): void {
    this.slab.free(row);
  }

  /** The confirmed entry of a queue. */
  confirmed(server: number, notifierId: Uint8Array): number | undefined {
    let row = this.first(server, notifierId);
    while (row !== NO_ROW && !this.has(row, FLAG.confirmed)) row = this.following(row, server, notifierId);
    return row === NO_ROW ? undefined : row;
  }

  /** All entries of a queue, newest first. */
  entries(server: number, notifierId: Uint8Array): number[] {
    const rows: number[] = [];
    let row = this.first(server, notifierId);
    for (; row !== NO_ROW; row = this.following(row, server, notifierId)) rows.push(row);
    return rows;
  }

  /** A view, valid while the entry is. */
  notifierId(row: number): Uint8Array {
    return this.slab.bytes(row, AT.id, ID_SIZE);
  }

  /** The private key, a view: Ed25519 as seed ‖ public key (64), the others raw. */
  key(row: number): Key<AuthAlgorithm> {
    const algorithm = ALGORITHMS[this.slab.u8(row, AT.algorithm)]!;
    return { algorithm, raw: this.slab.bytes(row, AT.key, KEY_BYTES[algorithm]) };
  }

  /** Whether the entry has this private key; compared in constant time. */
  holds(row: number, key: Key<AuthAlgorithm>): boolean {
    const own = this.key(row);
    const raw = own.algorithm === 'ed25519' ? own.raw.subarray(0, SEED_BYTES) : own.raw;
    return own.algorithm === key.algorithm && this.crypto.equal(raw, key.raw);
  }

  ref(row: number): number {
    return this.slab.u32(row, AT.ref);
  }

  server(row: number): number {
    return this.slab.u16(row, AT.server);
  }

  spelling(row: number): number {
    return this.slab.u16(row, AT.spelling);
  }

  status(row: number): FollowStatus {
    return statusOf(this.slab.u8(row, AT.status));
  }

  /** Whether no status was set yet. */
  isUnreported(row: number): boolean {
    return this.slab.u8(row, AT.status) === UNREPORTED;
  }

  /** Sets the status; false where it was the same. */
  setStatus(row: number, status: FollowStatus): boolean {
    const byte = statusByte(status);
    if (this.slab.u8(row, AT.status) === byte) return false;
    this.slab.setU8(row, AT.status, byte);
    return true;
  }

  has(row: number, flag: number): boolean {
    return (this.slab.u8(row, AT.flags) & flag) !== 0;
  }

  set(row: number, flag: number, on: boolean): void {
    const flags = this.slab.u8(row, AT.flags);
    this.slab.setU8(row, AT.flags, on ? flags | flag : flags & ~flag);
  }

  /** Temporary failures in a row, counted by the follower. */
  failures(row: number): number {
    return this.slab.u8(row, AT.failures);
  }

  setFailures(row: number, count: number): void {
    this.slab.setU8(row, AT.failures, count);
  }

  /** The number that `append` gave for the list the entry stands in. */
  listOf(row: number): number {
    return this.slab.u8(row, AT.list);
  }

  /** Puts an entry that is in no list at the end of one. */
  append(list: QueueList, number: number, row: number): void {
    this.slab.setU8(row, AT.list, number);
    this.slab.setU32(row, AT.previous, list.tail);
    this.slab.setU32(row, AT.next, 0);
    if (list.tail === 0) list.head = row + 1;
    else this.slab.setU32(list.tail - 1, AT.next, row + 1);
    list.tail = row + 1;
    list.size++;
  }

  /** Takes an entry out of the list it stands in. */
  unlink(list: QueueList, row: number): void {
    const previous = this.slab.u32(row, AT.previous);
    const next = this.slab.u32(row, AT.next);
    if (previous === 0) list.head = next;
    else this.slab.setU32(previous - 1, AT.next, next);
    if (next === 0) list.tail = previous;
    else this.slab.setU32(next - 1, AT.previous, previous);
    list.size--;
  }

  /** The entry behind this one in its list. */
  next(row: number): number | undefined {
    const next = this.slab.u32(row, AT.next);
    return next === 0 ? undefined : next - 1;
  }

  /** The newest entry of a queue, or `NO_ROW`. */
  private first(server: number, notifierId: Uint8Array): number {
    if (notifierId.length !== ID_SIZE) return NO_ROW;
    return this.matching(this.index.first(this.hash.of(notifierId)), server, notifierId);
  }

  /** The next older one, or `NO_ROW`. */
  private following(row: number, server: number, notifierId: Uint8Array): number {
    return this.matching(this.index.next(row), server, notifierId);
  }

  /** The first row of a bucket, from `row` on, that is the queue's. */
  private matching(row: number, server: number, notifierId: Uint8Array): number {
    let at = row;
    while (at !== NO_ROW && !(this.server(at) === server && this.slab.equals(at, AT.id, notifierId))) {
      at = this.index.next(at);
    }
    return at;
  }

  private writeKey(row: number, key: Key<AuthAlgorithm>): void {
    const target = this.slab.bytes(row, AT.key, KEY_BYTES[key.algorithm]);
    if (key.algorithm === 'ed25519') {
      const { privateKey } = this.crypto.ed25519KeyPair(key.raw);
      target.set(privateKey);
      wipe(privateKey);
    } else target.set(key.raw);
  }
}
