/**
 * Fixed-size rows of bytes outside the JavaScript heap: a million records cost their bytes and nothing else, and
 * secrets in them can be overwritten. Rows are named by small numbers. Knows nothing of what the rows mean.
 */

export interface SlabOptions {
  /** Size of one row; at least 4. */
  readonly rowBytes: number;
  /** Most rows in use at once; `allocate` gives none beyond. */
  readonly maxRows: number;
}

const CHUNK_BITS = 15;
const CHUNK_ROWS = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_ROWS - 1;
const LINK_BYTES = 4;

interface Chunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export class Slab {
  private readonly rowBytes: number;
  private readonly maxRows: number;
  private readonly chunks: Chunk[] = [];
  /** Rows ever handed out; those below it and not in use form the free list. */
  private top = 0;
  /** First free row + 1; a free row holds the next one's number + 1 in its first 4 bytes, otherwise zeros. */
  private freeHead = 0;
  private used = 0;

  constructor(options: SlabOptions) {
    if (options.rowBytes < LINK_BYTES) throw new RangeError('rows too small');
    this.rowBytes = options.rowBytes;
    this.maxRows = options.maxRows;
  }

  /** Rows in use. */
  get size(): number {
    return this.used;
  }

  /** Bytes taken from the system (committed by it only as rows are touched). */
  get reservedBytes(): number {
    return this.chunks.length * CHUNK_ROWS * this.rowBytes;
  }

  /** A row of zeros, or undefined when the slab is full. */
  allocate(): number | undefined {
    if (this.used >= this.maxRows) return undefined;
    this.used++;
    if (this.freeHead === 0) return this.fresh();
    const row = this.freeHead - 1;
    this.freeHead = this.u32(row, 0);
    this.setU32(row, 0, 0);
    return row;
  }

  /** Overwrites the row with zeros and takes it back. Each allocated row may be freed once. */
  free(row: number): void {
    this.bytes(row, 0, this.rowBytes).fill(0);
    this.setU32(row, 0, this.freeHead);
    this.freeHead = row + 1;
    this.used--;
  }

  /** Overwrites all rows. Nothing may be used afterwards. */
  wipe(): void {
    for (const { bytes } of this.chunks) bytes.fill(0);
  }

  /** `length` bytes of the row from `at` on: a view, to read and to write. */
  bytes(row: number, at: number, length: number): Uint8Array {
    const from = this.offset(row) + at;
    return this.chunk(row).bytes.subarray(from, from + length);
  }

  u8(row: number, at: number): number {
    return this.chunk(row).bytes[this.offset(row) + at]!;
  }

  setU8(row: number, at: number, value: number): void {
    this.chunk(row).bytes[this.offset(row) + at] = value;
  }

  u16(row: number, at: number): number {
    return this.chunk(row).view.getUint16(this.offset(row) + at);
  }

  setU16(row: number, at: number, value: number): void {
    this.chunk(row).view.setUint16(this.offset(row) + at, value);
  }

  u32(row: number, at: number): number {
    return this.chunk(row).view.getUint32(this.offset(row) + at);
  }

  setU32(row: number, at: number, value: number): void {
    this.chunk(row).view.setUint32(this.offset(row) + at, value);
  }

  /** Whether the row's bytes from `at` on are `bytes`. Not constant time: for public identifiers. */
  equals(row: number, at: number, bytes: Uint8Array): boolean {
    const chunk = this.chunk(row).bytes;
    const from = this.offset(row) + at;
    for (let i = 0; i < bytes.length; i++) if (chunk[from + i] !== bytes[i]) return false;
    return true;
  }

  private fresh(): number {
    if ((this.top & CHUNK_MASK) === 0) {
      const bytes = new Uint8Array(CHUNK_ROWS * this.rowBytes);
      this.chunks.push({ bytes, view: new DataView(bytes.buffer) });
    }
    return this.top++;
  }

  private chunk(row: number): Chunk {
    return this.chunks[row >>> CHUNK_BITS]!;
  }

  private offset(row: number): number {
    return (row & CHUNK_MASK) * this.rowBytes;
  }
}
