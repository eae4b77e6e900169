/**
 * HSalsa20, the key derivation inside NaCl's boxes (Bernstein, "Extending the Salsa20 nonce", section 2), because the
 * native back end exports none. Additions, rotations and XORs only: its time doesn't depend on the key.
 */
import type { Bytes } from '../encoding/bytes.js';
import { secretBytes } from './memory.js';

const ROUNDS = 20;
/** "expand 32-byte k" as little-endian words. */
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;
/** Where the result stands in the final state: the diagonal, then the words of the input. */
const RESULT = [0, 5, 10, 15, 6, 7, 8, 9] as const;

const word = (bytes: Bytes, i: number): number =>
  bytes[4 * i]! | (bytes[4 * i + 1]! << 8) | (bytes[4 * i + 2]! << 16) | (bytes[4 * i + 3]! << 24);

/** One Salsa20 quarter-round on four words of the state. */
function quarterRound(x: Int32Array, a: number, b: number, c: number, d: number): void {
  let sum = x[a]! + x[d]!;
  x[b]! ^= (sum << 7) | (sum >>> 25);
  sum = x[b]! + x[a]!;
  x[c]! ^= (sum << 9) | (sum >>> 23);
  sum = x[c]! + x[b]!;
  x[d]! ^= (sum << 13) | (sum >>> 19);
  sum = x[d]! + x[c]!;
  x[a]! ^= (sum << 18) | (sum >>> 14);
}

function doubleRound(x: Int32Array): void {
  quarterRound(x, 0, 4, 8, 12);
  quarterRound(x, 5, 9, 13, 1);
  quarterRound(x, 10, 14, 2, 6);
  quarterRound(x, 15, 3, 7, 11);
  quarterRound(x, 0, 1, 2, 3);
  quarterRound(x, 5, 6, 7, 4);
  quarterRound(x, 10, 11, 8, 9);
  quarterRound(x, 15, 12, 13, 14);
}

const state = new Int32Array(new ArrayBuffer(64)); // zeros between calls

/** HSalsa20(key[32], input[16]) → 32 bytes. */
export function hsalsa20(key: Bytes, input: Bytes): Uint8Array {
  for (let i = 0; i < 4; i++) {
    state[5 * i] = SIGMA[i]!;
    state[1 + i] = word(key, i);
    state[6 + i] = word(input, i);
    state[11 + i] = word(key, 4 + i);
  }
  for (let i = 0; i < ROUNDS; i += 2) doubleRound(state);
  const out = secretBytes(32);
  for (let i = 0; i < 8; i++) {
    const value = state[RESULT[i]!]!;
    out[4 * i] = value;
    out[4 * i + 1] = value >>> 8;
    out[4 * i + 2] = value >>> 16;
    out[4 * i + 3] = value >>> 24;
  }
  state.fill(0);
  return out;
}
