/** Random numbers for jitter, spread and delays. */
import type { Crypto } from './crypto.js';

const WORD = 4;
/** Drawn at once: each push takes a number, and an array for each would be half its cost. */
const WORDS = 64;

/** Draws numbers in [0, 1), each from 32 random bits. */
export function uniform(crypto: Pick<Crypto, 'randomBytes'>): () => number {
  let drawn: DataView = new DataView(new ArrayBuffer(0));
  let next = 0;
  return () => {
    if (next === drawn.byteLength) {
      const { buffer, byteOffset, byteLength } = crypto.randomBytes(WORDS * WORD);
      drawn = new DataView(buffer, byteOffset, byteLength);
      next = 0;
    }
    next += WORD;
    return drawn.getUint32(next - WORD) / 2 ** 32;
  };
}
