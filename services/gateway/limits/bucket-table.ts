/**
 * Rows of GCRA buckets by key, bounded in number. When it is full, only rows that are spare or whose buckets are all
 * empty make room: a flood of new keys can't reset the limits of the old ones, it is refused instead.
 */

import type { Bucket } from './caps.js';
import { after, waitMs } from './gcra.js';

/** Rows looked at for an idle one when the table is full. */
const PROBES = 64;
const FIRST_ROWS = 1024;

export class BucketTable {
  readonly columns: number;
  readonly capacity: number;
  private readonly rows = new Map<string, number>();
  private keys: string[] = [];
  private times: Float64Array;
  /** 1 for a row that may make room before its time. */
  private spare: Uint8Array;
  private hand = 0;

  constructor(columns: number, capacity: number) {
    this.columns = columns;
    this.capacity = capacity;
    this.times = new Float64Array(columns * Math.min(FIRST_ROWS, capacity));
    this.spare = new Uint8Array(Math.min(FIRST_ROWS, capacity));
  }

  get size(): number {
    return this.rows.size;
  }

  /** The row of a key, if it has one. */
  find(key: string): number | undefined {
    return this.rows.get(key);
  }

  /** A new row with empty buckets; undefined where there is no room. */
  add(key: string, now: number): number | undefined {
    const row = this.keys.length < this.capacity ? this.keys.length : this.idleRow(now);
    if (row === undefined) return undefined;
    if (row === this.keys.length) this.grow();
    else this.rows.delete(this.keys[row]!);
    this.keys[row] = key;
    this.rows.set(key, row);
    this.times.fill(0, row * this.columns, (row + 1) * this.columns);
    this.spare[row] = 0;
    return row;
  }

  /** Takes over another table's buckets of a key. */
  copy(row: number, from: BucketTable, fromRow: number): void {
    const start = fromRow * this.columns;
    this.times.set(from.times.subarray(start, start + this.columns), row * this.columns);
  }

  /** Milliseconds until all buckets have room for one more; 0 = now. */
  wait(row: number, buckets: readonly Bucket[], now: number): number {
    let longest = 0;
    for (const { column, limit } of buckets) {
      longest = Math.max(longest, waitMs(this.times[row * this.columns + column]!, now, limit));
    }
    return longest;
  }

  /** Takes one from each bucket. */
  take(row: number, buckets: readonly Bucket[], now: number): void {
    this.spare[row] = 0;
    for (const { column, limit } of buckets) {
      const at = row * this.columns + column;
      this.times[at] = after(this.times[at]!, now, limit);
    }
  }

  /** Lets a row make room when the table is full, until it is taken from again. */
  release(row: number): void {
    this.spare[row] = 1;
  }

  clear(): void {
    this.rows.clear();
    this.keys = [];
    this.times.fill(0);
    this.hand = 0;
  }

  private idleRow(now: number): number | undefined {
    for (let i = 0; i < Math.min(PROBES, this.capacity); i++) {
      const row = this.hand;
      this.hand = (this.hand + 1) % this.capacity;
      const start = row * this.columns;
      const isIdle = this.times.subarray(start, start + this.columns).every((time) => time <= now);
      if (isIdle || this.spare[row] === 1) return row;
    }
    return undefined;
  }

  private grow(): void {
    if ((this.keys.length + 1) * this.columns <= this.times.length) return;
    const rows = Math.min(this.capacity, this.keys.length * 2);
    const times = new Float64Array(rows * this.columns);
    times.set(this.times);
    this.times = times;
    const spare = new Uint8Array(rows);
    spare.set(this.spare);
    this.spare = spare;
  }
}
