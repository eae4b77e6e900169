/** SHA-2, MD5, HMAC and HKDF by node:crypto, the same for every back end. */
import { createHash, createHmac, hash, hkdfSync } from 'node:crypto';
import type { Bytes } from '../encoding/bytes.js';
import type { Crypto } from './crypto.js';

type Hash = 'md5' | 'sha256' | 'sha512';
type Hashes = Pick<Crypto, 'md5' | 'sha256' | 'sha512' | 'hmacSha256' | 'hkdfSha256' | 'hkdfSha512'>;

/** A plain array with the digest's bytes and no others: a `Buffer` has a `slice` that is a view. */
const plain = (digest: Buffer): Uint8Array => new Uint8Array(digest);

function digest(algorithm: Hash, parts: readonly Bytes[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1) return plain(hash(algorithm, only!, 'buffer'));
  const state = createHash(algorithm);
  for (const part of parts) state.update(part);
  return plain(state.digest());
}

function hmac(algorithm: Hash, key: Bytes, parts: readonly Bytes[]): Uint8Array {
  const state = createHmac(algorithm, key);
  for (const part of parts) state.update(part);
  return plain(state.digest());
}

const hkdf = (algorithm: Hash, ikm: Bytes, salt: Bytes, info: Bytes, length: number): Uint8Array =>
  new Uint8Array(hkdfSync(algorithm, ikm, salt, info, length));

export const hashes: Hashes = {
  md5: (...parts) => digest('md5', parts),
  sha256: (...parts) => digest('sha256', parts),
  sha512: (...parts) => digest('sha512', parts),
  hmacSha256: (key, ...parts) => hmac('sha256', key, parts),
  hkdfSha256: (salt, ikm, info, length) => hkdf('sha256', ikm, salt, info, length),
  hkdfSha512: (salt, ikm, info, length) => hkdf('sha512', ikm, salt, info, length),
};
