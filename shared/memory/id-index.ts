/**
 * Finds rows by the hash of an identifier: 6 bytes a row, growing a bucket for every two insertions (linear hashing),
 * so there is never a pause to rebuild a table and never two tables at once. Several rows may have the same
 * identifier. The index holds row numbers only; identifiers stay in the rows, and the caller compares them:
 *
 *     for (let row = index.first(hash.of(id)); row !== NO_ROW; row = index.next(row)) if (same(row, id)) …
 */

/** What `first` and `next` answer when there is no further row. */
export const NO_ROW = -1;

const FIRST_LEVEL = 10;
/** Rows a bucket on average: a bucket costs as much memory as a row's link. */
const LOAD = 2;

export class IdIndex {
  private readonly hashOf: (row: number) => number;
  /** Bucket → first row + 1. */
  private readonly heads = new Column();
  /** Row → next row of its bucket + 1. */
  private readonly links = new Column();
  private level = FIRST_LEVEL;
  private buckets = 1 << FIRST_LEVEL;
  private count = 0;

  /** @param hashOf the keyed hash (see `KeyedHash`) of a row's identifier; it must not change while indexed */
  constructor(hashOf: (row: number) => number) {
    this.hashOf = hashOf;
  }

  get size(): number {
    return this.count;
  }

  /** Adds a row, before others of the same identifier. A row may be in the index once. */
  add(row: number): void {
    this.push(this.bucket(this.hashOf(row)), row);
    if (++this.count > LOAD * this.buckets) this.split();
  }

  /** Takes a row out; false where it was not in. The row's identifier must still be there. */
  remove(row: number): boolean {
    const bucket = this.bucket(this.hashOf(row));
    let before = NO_ROW;
    let at = this.heads.get(bucket) - 1;
    for (; at !== row; before = at, at = this.next(at)) if (at === NO_ROW) return false;
    if (before === NO_ROW) this.heads.set(bucket, this.links.get(row));
    else this.links.set(before, this.links.get(row));
    this.links.set(row, 0);
    this.count--;
    return true;
  }

  /** The first row that may have an identifier of this hash. */
  first(hash: number): number {
    return this.heads.get(this.bucket(hash)) - 1;
  }

  /** The next such row. */
  next(row: number): number {
    return this.links.get(row) - 1;
  }

  private bucket(hash: number): number {
    const low = (hash & ((1 << this.level) - 1)) >>> 0;
    const wide = (hash & ((1 << (this.level + 1)) - 1)) >>> 0;
    return wide < this.buckets ? wide : low;
  }

  private push(bucket: number, row: number): void {
    this.links.set(row, this.heads.get(bucket));
    this.heads.set(bucket, row + 1);
  }

  /** One more bucket: shares out the rows of the one that it halves. */
  private split(): void {
    const half = this.buckets - (1 << this.level);
    let row = this.heads.get(half) - 1;
    this.heads.set(half, 0);
    if (++this.buckets === 1 << (this.level + 1)) this.level++;
    while (row !== NO_ROW) {
      const next = this.next(row);
      this.push(this.bucket(this.hashOf(row)), row);
      row = next;
    }
  }
}

const PIECE_BITS = 14;
const PIECE_MASK = (1 << PIECE_BITS) - 1;

/** A growing array of 32-bit numbers, zero at first, in pieces that are never copied. */
class Column {
  private readonly pieces: Int32Array[] = [];

  get(at: number): number {
    return this.pieces[at >>> PIECE_BITS]?.[at & PIECE_MASK] ?? 0;
  }

  set(at: number, value: number): void {
    const piece = at >>> PIECE_BITS;
    while (this.pieces.length <= piece) this.pieces.push(new Int32Array(1 << PIECE_BITS));
    this.pieces[piece]![at & PIECE_MASK] = value;
  }
}
