/**
 * Bounded reader of the SimpleX binary primitives (guide A.1) and of fixed layouts.
 * Every length is checked before bytes are taken; nothing is repaired; views are returned, not copies.
 */
import type { Bytes } from './bytes.js';

/** Bytes that don't have the expected shape. Carries no data of the peer. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

const fail = (what: string): never => {
  throw new DecodeError(what);
};

const DIGIT_0 = 0x30;
const DIGIT_1 = 0x31;

export class Reader {
  readonly bytes: Bytes;
  offset = 0;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** The next `n` bytes as a view. */
  take(n: number): Uint8Array {
    if (n > this.remaining) fail('too short');
    const from = this.offset;
    this.offset += n;
    return this.bytes.subarray(from, this.offset);
  }

  u8(): number {
    if (this.remaining < 1) fail('too short');
    return this.bytes[this.offset++]!;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  /** Signed 64-bit, as a number; values beyond ±2^53 are refused. */
  i64(): number {
    const high = this.u32() | 0;
    const value = high * 0x1_0000_0000 + this.u32();
    return Number.isSafeInteger(value) ? value : fail('number too large');
  }

  /** IEEE 754 double; NaN is refused. */
  f64(): number {
    const bytes = this.take(8);
    const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
    return Number.isNaN(value) ? fail('not a number') : value;
  }

  /** u8 length, then that many bytes. */
  shortString(): Uint8Array {
    return this.take(this.u8());
  }

  /** u16 length, then that many bytes. */
  large(): Uint8Array {
    return this.take(this.u16());
  }

  /** All that is left. */
  tail(): Uint8Array {
    return this.take(this.remaining);
  }

  /** ASCII `T` or `F`. */
  bool(): boolean {
    const c = this.u8();
    if (c !== 0x54 && c !== 0x46) fail('not a boolean');
    return c === 0x54;
  }

  /** ASCII `0`, or `1` and then an item. */
  maybe<T>(item: () => T): T | undefined {
    const c = this.u8();
    if (c === DIGIT_0) return undefined;
    if (c !== DIGIT_1) fail('not an optional value');
    return item();
  }

  /** u8 count, then the items. */
  list<T>(item: () => T): T[] {
    const count = this.u8();
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item());
    return items;
  }

  /** A list with at least one item. */
  nonEmpty<T>(item: () => T): T[] {
    const items = this.list(item);
    return items.length > 0 ? items : fail('empty list');
  }

  /** One character, which must be `char`. */
  expect(text: string): void {
    for (let i = 0; i < text.length; i++) if (this.u8() !== text.charCodeAt(i)) fail(`expected "${text}"`);
  }

  /** Whether the next bytes are `text`; moves behind them if so. */
  accept(text: string): boolean {
    if (text.length > this.remaining) return false;
    for (let i = 0; i < text.length; i++) {
      if (this.bytes[this.offset + i] !== text.charCodeAt(i)) return false;
    }
    this.offset += text.length;
    return true;
  }

  /** All input must have been read. */
  end(): void {
    if (this.remaining > 0) fail('trailing bytes');
  }
}

/** Parses a complete value: `parse`, then end of input. Throws `DecodeError`. */
export function decodeAll<T>(bytes: Bytes, parse: (reader: Reader) => T): T {
  const reader = new Reader(bytes);
  const value = parse(reader);
  reader.end();
  return value;
}
