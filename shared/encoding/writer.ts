/** Growing writer of the SimpleX binary primitives (guide A.1) and of fixed layouts. */
import { type Bytes, utf8 } from './bytes.js';

export class Writer {
  private buffer: Uint8Array;
  private length = 0;

  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity);
  }

  private room(n: number): number {
    const at = this.length;
    this.length += n;
    if (this.length > this.buffer.length) {
      const old = this.buffer;
      this.buffer = new Uint8Array(Math.max(this.length, old.length * 2));
      this.buffer.set(old);
      old.fill(0); // it may have held a secret
    }
    return at;
  }

  get size(): number {
    return this.length;
  }

  u8(value: number): this {
    const at = this.room(1); // first: it may replace the buffer
    this.buffer[at] = checked(value, 0xff);
    return this;
  }

  u16(value: number): this {
    checked(value, 0xffff);
    return this.u8(value >>> 8).u8(value & 0xff);
  }

  u32(value: number): this {
    checked(value, 0xffff_ffff);
    return this.u16(Math.floor(value / 0x10000)).u16(value % 0x10000);
  }

  /** Signed 64-bit of a safe integer. */
  i64(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError('not a safe integer');
    const high = Math.floor(value / 0x1_0000_0000);
    return this.u32(high >>> 0).u32(value - high * 0x1_0000_0000);
  }

  /** IEEE 754 double; infinities are values, NaN is none. */
  f64(value: number): this {
    if (Number.isNaN(value)) throw new RangeError('not a number');
    const at = this.room(8);
    new DataView(this.buffer.buffer, this.buffer.byteOffset).setFloat64(at, value);
    return this;
  }

  bytes(value: Bytes): this {
    const at = this.room(value.length);
    this.buffer.set(value, at);
    return this;
  }

  /** ASCII or UTF-8 text without a length. */
  text(value: string): this {
    return this.bytes(utf8(value));
  }

  /** u8 length and bytes. The reference encoder wraps silently above 255 (guide K.1 #2); this one throws. */
  shortString(value: Bytes): this {
    return this.u8(value.length).bytes(value);
  }

  large(value: Bytes): this {
    return this.u16(value.length).bytes(value);
  }

  bool(value: boolean): this {
    return this.u8(value ? 0x54 : 0x46);
  }

  maybe<T>(value: T | undefined, item: (value: T) => void): this {
    if (value === undefined) return this.u8(0x30);
    this.u8(0x31);
    item(value);
    return this;
  }

  list<T>(values: readonly T[], item: (value: T) => void): this {
    this.u8(values.length);
    for (const value of values) item(value);
    return this;
  }

  zeros(n: number): this {
    this.room(n);
    return this;
  }

  /** The bytes written so far, as a view that later writes may leave behind. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** A copy of exactly the bytes written. */
  done(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }
}

function checked(value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) throw new RangeError('number out of range');
  return value;
}
