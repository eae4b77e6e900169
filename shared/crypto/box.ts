/**
 * SimpleX's boxes (guide D): padding to a fixed size, then NaCl's secretbox under HSalsa20(secret, 0¹⁶). For a raw
 * X25519 secret that is NaCl's crypto_box; symmetric keys take the same extra step. Opening never says why it failed.
 */
import { type Bytes, wipe } from '../encoding/bytes.js';
import type { Crypto } from './crypto.js';

/** Bytes that a box is longer than what it holds. */
export const BOX_TAG_LENGTH = 16;
/** Bytes of padding's length field. */
export const PAD_LENGTH_BYTES = 2;

/** All that boxes need, so that other back ends than `Crypto`'s can open them too. */
export type BoxCrypto = Pick<Crypto, 'hsalsa20' | 'secretboxSeal' | 'secretboxOpen'>;

const PAD = 0x23; // '#'
const MAX_LENGTH = 0xffff;
const ZEROS = new Uint8Array(16);

/** u16 length, `message`, then '#' up to `size` bytes. Throws `RangeError` where it doesn't fit. */
export function pad(message: Bytes, size: number): Uint8Array {
  const end = PAD_LENGTH_BYTES + message.length;
  if (end > size || message.length > MAX_LENGTH) throw new RangeError('message too long for its padding');
  const out = new Uint8Array(new ArrayBuffer(size));
  out[0] = message.length >>> 8;
  out[1] = message.length & 0xff;
  out.set(message, PAD_LENGTH_BYTES);
  return out.fill(PAD, end);
}

/** The message inside padded bytes, as a view; `undefined` where the length doesn't fit. */
export function unpad(bytes: Bytes): Uint8Array | undefined {
  if (bytes.length < PAD_LENGTH_BYTES) return undefined;
  const end = PAD_LENGTH_BYTES + ((bytes[0]! << 8) | bytes[1]!);
  return end > bytes.length ? undefined : bytes.subarray(PAD_LENGTH_BYTES, end);
}

/** The secretbox key that belongs to a 32-byte secret: HSalsa20(secret, 0¹⁶). Whoever holds many boxes may keep it. */
export const boxKey = (crypto: BoxCrypto, secret: Bytes): Uint8Array => crypto.hsalsa20(secret, ZEROS);

/** Box of `message` padded to `paddedSize`: `paddedSize` + 16 bytes. Throws `RangeError` where it doesn't fit. */
export function cbEncrypt(
  crypto: BoxCrypto,
  secret: Bytes,
  nonce: Bytes,
  message: Bytes,
  paddedSize: number,
): Uint8Array {
  const padded = pad(message, paddedSize);
  const box = cbEncryptNoPad(crypto, secret, nonce, padded);
  wipe(padded);
  return box;
}

/** Box of `message` as it is: 16 bytes longer. */
export function cbEncryptNoPad(crypto: BoxCrypto, secret: Bytes, nonce: Bytes, message: Bytes): Uint8Array {
  const key = boxKey(crypto, secret);
  const box = crypto.secretboxSeal(key, nonce, message);
  wipe(key);
  return box;
}

/** The unpadded message of a box (a view into memory of its own); `undefined` where it is forged or wrongly padded. */
export function cbDecrypt(
  crypto: BoxCrypto,
  secret: Bytes,
  nonce: Bytes,
  box: Bytes,
): Uint8Array | undefined {
  const padded = cbDecryptNoPad(crypto, secret, nonce, box);
  return padded && unpad(padded);
}

/** What an unpadded box holds; `undefined` where it is forged. */
export function cbDecryptNoPad(
  crypto: BoxCrypto,
  secret: Bytes,
  nonce: Bytes,
  box: Bytes,
): Uint8Array | undefined {
  const key = boxKey(crypto, secret);
  const message = crypto.secretboxOpen(key, nonce, box);
  wipe(key);
  return message;
}
