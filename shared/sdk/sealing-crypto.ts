/**
 * What sealing to a gateway needs beyond tweetnacl, in plain JavaScript: SHA-256 (FIPS 180-4), HMAC (RFC 2104) and
 * ChaCha20-Poly1305 (RFC 8439). For a few hundred bytes now and then; nothing here is made for speed.
 */
import nacl from 'tweetnacl';
import type { Crypto } from '../crypto/crypto.js';
import type { SealCrypto } from '../crypto/hpke.js';
import { type Bytes, concat, wipe } from '../encoding/bytes.js';
import { naclCrypto } from './nacl.js';

/** tweetnacl exports Poly1305, but its types don't say so. */
type OneTimeAuth = (out: Bytes, outAt: number, m: Bytes, mAt: number, n: number, key: Bytes) => void;
const { crypto_onetimeauth: poly1305 } = (
  nacl as unknown as { lowlevel: { crypto_onetimeauth: OneTimeAuth } }
).lowlevel;

const BLOCK = 64;
const TAG_SIZE = 16;

export const sealingCrypto: SealCrypto & Pick<Crypto, 'sha256' | 'ed25519KeyPair' | 'ed25519Sign'> = {
  x25519KeyPair: naclCrypto.x25519KeyPair,
  x25519: naclCrypto.x25519,
  ed25519KeyPair: naclCrypto.ed25519KeyPair,
  ed25519Sign: naclCrypto.ed25519Sign,
  sha256: (...parts) => sha256(concat(...parts)),
  hmacSha256(key, ...parts) {
    const short = key.length > BLOCK ? sha256(key) : key;
    const padded = (mask: number) => Uint8Array.from({ length: BLOCK }, (_, i) => (short[i] ?? 0) ^ mask);
    const inner = concat(padded(0x36), ...parts);
    const outer = concat(padded(0x5c), sha256(inner));
    const mac = sha256(outer);
    wipe(inner, outer);
    return mac;
  },
  chacha20Poly1305Seal(key, nonce, aad, message) {
    const box = concat(message, new Uint8Array(TAG_SIZE));
    const text = box.subarray(0, message.length);
    xorChaCha20(key, nonce, 1, text);
    const macKey = new Uint8Array(BLOCK);
    xorChaCha20(key, nonce, 0, macKey);
    const covered = concat(padTo16(aad), padTo16(text), lengths(aad.length, text.length));
    poly1305(box, message.length, covered, 0, covered.length, macKey.subarray(0, 32));
    wipe(macKey);
    return box;
  },
};

const padTo16 = (bytes: Bytes): Uint8Array => concat(bytes, new Uint8Array(-bytes.length & 15));

/** Two 64-bit little-endian numbers. */
function lengths(a: number, b: number): Uint8Array {
  const out = new DataView(new ArrayBuffer(16));
  out.setUint32(0, a, true);
  out.setUint32(8, b, true);
  return new Uint8Array(out.buffer);
}

/** XORs the key stream from block `counter` on into `bytes`. */
function xorChaCha20(key: Bytes, nonce: Bytes, counter: number, bytes: Uint8Array): void {
  const words = concat(key, new Uint8Array(4), nonce);
  const view = new DataView(words.buffer);
  const state = new Uint32Array(16);
  state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
  for (let i = 0; i < 12; i++) state[4 + i] = view.getUint32(4 * i, true);
  const stream = new DataView(new ArrayBuffer(BLOCK));
  for (let at = 0; at < bytes.length; at += BLOCK) {
    state[12] = counter++;
    block(state, stream);
    for (let i = 0; i < Math.min(BLOCK, bytes.length - at); i++) bytes[at + i]! ^= stream.getUint8(i);
  }
  wipe(words, new Uint8Array(stream.buffer), new Uint8Array(state.buffer));
}

function block(state: Uint32Array, out: DataView): void {
  const x = state.slice();
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarterRound(x, i, 4 + i, 8 + i, 12 + i);
    for (let i = 0; i < 4; i++) quarterRound(x, i, 4 + ((i + 1) & 3), 8 + ((i + 2) & 3), 12 + ((i + 3) & 3));
  }
  for (let i = 0; i < 16; i++) out.setUint32(4 * i, x[i]! + state[i]!, true);
  x.fill(0);
}

function quarterRound(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  const step = (to: number, from: number, mixed: number, bits: number): void => {
    x[to]! += x[from]!;
    const word = x[mixed]! ^ x[to]!;
    x[mixed] = (word << bits) | (word >>> (32 - bits));
  };
  step(a, b, d, 16);
  step(c, d, b, 12);
  step(a, b, d, 8);
  step(c, d, b, 7);
}

const PRIMES = firstPrimes(64);
/** The first 32 bits of the fractional parts of roots of primes. */
const fraction = (root: number): number => Math.floor((root % 1) * 0x1_0000_0000) >>> 0;
const ROUND_CONSTANTS = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes;
}

function sha256(message: Bytes): Uint8Array {
  const padding = new Uint8Array(1 + 8 + ((119 - (message.length % BLOCK)) % BLOCK));
  padding[0] = 0x80;
  new DataView(padding.buffer).setUint32(padding.length - 4, message.length * 8);
  const padded = concat(message, padding);
  const view = new DataView(padded.buffer);
  const hash = Uint32Array.from(START);
  for (let at = 0; at < padded.length; at += BLOCK) compress(hash, view, at);
  wipe(padded);
  const out = new DataView(new ArrayBuffer(32));
  for (const [i, word] of hash.entries()) out.setUint32(4 * i, word);
  return new Uint8Array(out.buffer);
}

const rotate = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));

function compress(hash: Uint32Array, view: DataView, at: number): void {
  const w = new Uint32Array(64);
  for (let i = 0; i < 16; i++) w[i] = view.getUint32(at + 4 * i);
  for (let i = 16; i < 64; i++) {
    const [x, y] = [w[i - 15]!, w[i - 2]!];
    const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
    const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
    w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
  }
  const v = hash.slice();
  for (let i = 0; i < 64; i++) {
    const [a, b, c, , e, f, g, h] = v as unknown as number[] as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[i]! + w[i]!;
    v.copyWithin(1, 0, 7);
    v[4]! += t1;
    v[0] = t1 + s0 + ((a & b) ^ (a & c) ^ (b & c));
  }
  for (let i = 0; i < 8; i++) hash[i]! += v[i]!;
  wipe(new Uint8Array(w.buffer));
}
