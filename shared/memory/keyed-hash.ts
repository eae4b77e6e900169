/**
 * HalfSipHash-2-4: 32 bits of hash under a secret key, so that whoever chooses identifiers can't choose
 * collisions in an index (https://www.aumasson.jp/siphash/siphash.pdf, in its 32-bit form). Pure.
 */
import type { Bytes } from '../encoding/bytes.js';

/** Bytes of key. */
export const HASH_KEY_BYTES = 8;

export class KeyedHash {
  private readonly k0: number;
  private readonly k1: number;
  private v0 = 0;
  private v1 = 0;
  private v2 = 0;
  private v3 = 0;

  /** @param key 8 random bytes, never shown to anyone */
  constructor(key: Bytes) {
    if (key.length !== HASH_KEY_BYTES) throw new RangeError('hash key of wrong length');
    this.k0 = word(key, 0);
    this.k1 = word(key, 4);
  }

  /** Unsigned 32-bit hash of the bytes. */
  of(bytes: Bytes): number {
    this.v0 = this.k0;
    this.v1 = this.k1;
    this.v2 = 0x6c796765 ^ this.k0;
    this.v3 = 0x74656462 ^ this.k1;
    const whole = bytes.length & ~3;
    for (let i = 0; i < whole; i += 4) this.absorb(word(bytes, i));
    let last = bytes.length << 24;
    for (let i = bytes.length - 1; i >= whole; i--) last |= bytes[i]! << (8 * (i - whole));
    this.absorb(last);
    this.v2 ^= 0xff;
    this.rounds(4);
    return (this.v1 ^ this.v3) >>> 0;
  }

  private absorb(m: number): void {
    this.v3 ^= m;
    this.rounds(2);
    this.v0 ^= m;
  }

  private rounds(count: number): void {
    let { v0, v1, v2, v3 } = this;
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    this.v0 = v0;
    this.v1 = v1;
    this.v2 = v2;
    this.v3 = v3;
  }
}

/** Four bytes as a little-endian word. */
const word = (b: Bytes, i: number): number =>
  b[i]! | (b[i + 1]! << 8) | (b[i + 2]! << 16) | (b[i + 3]! << 24);
