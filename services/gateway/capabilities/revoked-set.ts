/**
 * Entries of one pool of the revoked set in memory: 28 bytes each outside the JavaScript heap, found by their lookup
 * hash. Bounded: when it is full, the oldest of some gives way. Knows hashes and times only.
 */
import { IdIndex, NO_ROW } from '../../../shared/memory/id-index.js';
import { Slab } from '../../../shared/memory/slab.js';
import { ENTRY_HASH_SIZE, type RevocationEntry } from './revocation-store.js';

/** Where things stand in a row; the time of a row in use is never 0. */
const AT = { lookup: 0, time: 4, hash: 8 } as const;
/** Rows looked at for the one that gives way. */
const PROBES = 64;

export class RevokedSet {
  private readonly capacity: number;
  private readonly rows: Slab;
  private readonly index = new IdIndex((row) => this.rows.u32(row, AT.lookup));
  /** Rows ever used: those below it are in use or free. */
  private top = 0;
  private hand = 0;
  private latest = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.rows = new Slab({ rowBytes: AT.hash + ENTRY_HASH_SIZE, maxRows: capacity });
  }

  get size(): number {
    return this.rows.size;
  }

  /** The latest time of any entry that was ever here; 0 = there was none. */
  get newest(): number {
    return this.latest;
  }

  /** Takes an entry in, or a later time of a known one. @returns whether another had to go */
  add({ lookup, hash, time }: Omit<RevocationEntry, 'pool'>): boolean {
    if (time === 0) return false;
    this.latest = Math.max(this.latest, time);
    const known = this.find(lookup, hash);
    if (known !== NO_ROW) {
      this.rows.setU32(known, AT.time, Math.max(time, this.rows.u32(known, AT.time)));
      return false;
    }
    const isFull = this.rows.size >= this.capacity;
    if (isFull) this.remove(this.oldestOfSome());
    const row = this.rows.allocate()!;
    this.top = Math.max(this.top, row + 1);
    this.rows.setU32(row, AT.lookup, lookup);
    this.rows.setU32(row, AT.time, time);
    this.rows.bytes(row, AT.hash, ENTRY_HASH_SIZE).set(hash);
    this.index.add(row);
    return isFull;
  }

  /** Whether any entry of this lookup hash has that time or a later one. */
  mayHave(lookup: number, time: number): boolean {
    for (let row = this.index.first(lookup); row !== NO_ROW; row = this.index.next(row)) {
      if (this.rows.u32(row, AT.lookup) === lookup && this.rows.u32(row, AT.time) >= time) return true;
    }
    return false;
  }

  /** Whether this entry is there with that time or a later one. */
  has(lookup: number, hash: Uint8Array, time: number): boolean {
    const row = this.find(lookup, hash);
    return row !== NO_ROW && this.rows.u32(row, AT.time) >= time;
  }

  /** Drops all entries whose time is `time` or before. */
  expire(time: number): void {
    for (let row = 0; row < this.top; row++) {
      const at = this.rows.u32(row, AT.time);
      if (at !== 0 && at <= time) this.remove(row);
    }
  }

  private find(lookup: number, hash: Uint8Array): number {
    let row = this.index.first(lookup);
    while (row !== NO_ROW && !this.rows.equals(row, AT.hash, hash)) row = this.index.next(row);
    return row;
  }

  private remove(row: number): void {
    this.index.remove(row);
    this.rows.free(row);
  }

  /** Of a full set, where all rows are in use. */
  private oldestOfSome(): number {
    let oldest = this.hand;
    for (let i = 0; i < Math.min(PROBES, this.capacity); i++) {
      if (this.rows.u32(this.hand, AT.time) < this.rows.u32(oldest, AT.time)) oldest = this.hand;
      this.hand = (this.hand + 1) % this.capacity;
    }
    return oldest;
  }
}
