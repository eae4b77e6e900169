/**
 * EdDSA by either curve over raw keys (guide A.2, F): Ed25519 by the back end, Ed448 by node:crypto, since libsodium
 * has none. Ed448 is rare (other servers' identities, some clients' keys): its keys are made into objects per call.
 */
import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signWithNode,
  verify as verifyWithNode,
} from 'node:crypto';
import { type Bytes, wipe } from '../encoding/bytes.js';
import { encodePrivateKey, type Key } from '../encoding/keys.js';
import type { Crypto } from './crypto.js';

export type SignatureAlgorithm = 'ed25519' | 'ed448';
export type SignatureKey = Key<SignatureAlgorithm>;

/** Signature (64 or 114 bytes) by a private key, which is the raw seed (32 or 57 bytes). */
export function signWith(crypto: Crypto, key: SignatureKey, message: Bytes): Uint8Array {
  if (key.algorithm === 'ed448') return new Uint8Array(signWithNode(null, message, privateKeyObject(key)));
  const { privateKey } = crypto.ed25519KeyPair(key.raw);
  const signature = crypto.ed25519Sign(privateKey, message);
  wipe(privateKey);
  return signature;
}

/** Whether `signature` is one of `message` by the owner of a public key. False also where either is malformed. */
export function verifyWith(crypto: Crypto, key: SignatureKey, message: Bytes, signature: Bytes): boolean {
  if (key.algorithm === 'ed25519') return crypto.ed25519Verify(key.raw, message, signature);
  return verifyWithNode(null, message, publicKeyObject(key), signature);
}

/** The public key that belongs to a private one. */
export function publicKeyOf(crypto: Crypto, key: SignatureKey): SignatureKey {
  if (key.algorithm === 'ed25519') {
    const { publicKey, privateKey } = crypto.ed25519KeyPair(key.raw);
    wipe(privateKey);
    return { ...key, raw: publicKey };
  }
  const spki = createPublicKey(privateKeyObject(key)).export({ format: 'der', type: 'spki' });
  return { ...key, raw: new Uint8Array(spki.subarray(-key.raw.length)) };
}

/** A fresh private key. */
export function generateSignatureKey(crypto: Crypto, algorithm: SignatureAlgorithm): SignatureKey {
  return { algorithm, raw: crypto.randomBytes(algorithm === 'ed25519' ? 32 : 57) };
}

function privateKeyObject(key: SignatureKey): KeyObject {
  const der = encodePrivateKey(key);
  try {
    const view = Buffer.from(der.buffer, der.byteOffset, der.length);
    return createPrivateKey({ key: view, format: 'der', type: 'pkcs8' });
  } finally {
    wipe(der);
  }
}

/** By way of a JWK, which takes a tenth of the time of DER; a private key must not become such a string. */
function publicKeyObject(key: SignatureKey): KeyObject {
  const x = Buffer.from(key.raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed448', x }, format: 'jwk' });
}
