/**
 * HPKE (RFC 9180) in base mode, one message a key: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
 * Whoever seals is anonymous; only the holder of the private key opens. Pure but for the randomness of `Crypto`.
 */
import { type Bytes, concat, utf8, wipe } from '../encoding/bytes.js';
import { type Crypto, CryptoError, type KeyPair } from './crypto.js';

const KEY_LENGTH = 32;
const NONCE_LENGTH = 12;
const HASH_LENGTH = 32;
const NONE = new Uint8Array(0);

const VERSION = utf8('HPKE-v1');
const KEM_SUITE = concat(utf8('KEM'), Uint8Array.of(0x00, 0x20));
const HPKE_SUITE = concat(utf8('HPKE'), Uint8Array.of(0x00, 0x20, 0x00, 0x01, 0x00, 0x03));
const MODE_BASE = Uint8Array.of(0);

export interface HpkeSealed {
  /** 32 bytes. */
  readonly enc: Uint8Array;
  /** 16 bytes longer than the plaintext. */
  readonly ciphertext: Uint8Array;
}

/** All that sealing needs: a phone has no more than that. */
export type SealCrypto = Pick<Crypto, 'x25519KeyPair' | 'x25519' | 'hmacSha256' | 'chacha20Poly1305Seal'>;

/** Key and nonce of the first and only message (RFC 9180 §5.1). */
export interface HpkeKeys {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

/** Seals to `publicKey` (32). Throws `CryptoError` where that is a point of small order. */
export function hpkeSeal(
  crypto: SealCrypto,
  publicKey: Bytes,
  info: Bytes,
  aad: Bytes,
  plaintext: Bytes,
): HpkeSealed {
  const ephemeral = crypto.x25519KeyPair();
  try {
    return hpkeSealWith(crypto, ephemeral, publicKey, info, aad, plaintext);
  } finally {
    wipe(ephemeral.privateKey);
  }
}

/** The same with a given ephemeral key pair, which must never be used again: for vectors. */
export function hpkeSealWith(
  crypto: SealCrypto,
  ephemeral: KeyPair,
  publicKey: Bytes,
  info: Bytes,
  aad: Bytes,
  plaintext: Bytes,
): HpkeSealed {
  const enc = ephemeral.publicKey;
  const secret = sharedSecret(crypto, ephemeral.privateKey, publicKey, enc, publicKey);
  const { key, nonce } = keySchedule(crypto, secret, info);
  const ciphertext = crypto.chacha20Poly1305Seal(key, nonce, aad, plaintext);
  wipe(secret, key, nonce);
  return { enc, ciphertext };
}

/** Opens with `privateKey` (32); undefined where it was not sealed to it, or with other `info` or `aad`. */
export function hpkeOpen(
  crypto: Crypto,
  privateKey: Bytes,
  enc: Bytes,
  info: Bytes,
  aad: Bytes,
  ciphertext: Bytes,
): Uint8Array | undefined {
  const secret = decapsulate(crypto, privateKey, enc);
  if (secret === undefined) return undefined;
  const { key, nonce } = keySchedule(crypto, secret, info);
  const plaintext = crypto.chacha20Poly1305Open(key, nonce, aad, ciphertext);
  wipe(secret, key, nonce);
  return plaintext;
}

/** RFC 9180 §4.1, Decap; undefined where the sender's key has another length or small order. */
function decapsulate(crypto: Crypto, privateKey: Bytes, enc: Bytes): Uint8Array | undefined {
  const publicKey = crypto.x25519PublicKey(privateKey);
  try {
    return sharedSecret(crypto, privateKey, enc, enc, publicKey);
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}

/** RFC 9180 §4.1, the end that Encap and Decap share: ExtractAndExpand(DH(own, peer), enc ‖ recipient's key). */
function sharedSecret(crypto: SealCrypto, own: Bytes, peer: Bytes, enc: Bytes, recipient: Bytes): Uint8Array {
  const dh = crypto.x25519(own, peer);
  const extracted = labeledExtract(crypto, KEM_SUITE, NONE, 'eae_prk', dh);
  const secret = labeledExpand(
    crypto,
    KEM_SUITE,
    extracted,
    'shared_secret',
    concat(enc, recipient),
    HASH_LENGTH,
  );
  wipe(dh, extracted);
  return secret;
}

/** RFC 9180 §5.1, KeySchedule in base mode. */
export function keySchedule(crypto: SealCrypto, sharedSecret: Bytes, info: Bytes): HpkeKeys {
  const context = concat(
    MODE_BASE,
    labeledExtract(crypto, HPKE_SUITE, NONE, 'psk_id_hash', NONE),
    labeledExtract(crypto, HPKE_SUITE, NONE, 'info_hash', info),
  );
  const secret = labeledExtract(crypto, HPKE_SUITE, sharedSecret, 'secret', NONE);
  const key = labeledExpand(crypto, HPKE_SUITE, secret, 'key', context, KEY_LENGTH);
  const nonce = labeledExpand(crypto, HPKE_SUITE, secret, 'base_nonce', context, NONCE_LENGTH);
  wipe(secret);
  return { key, nonce };
}

/** RFC 9180 §4. HKDF-Extract is HMAC under the salt; an empty salt and one of zeros are the same HMAC key. */
function labeledExtract(
  crypto: SealCrypto,
  suite: Bytes,
  salt: Bytes,
  label: string,
  ikm: Bytes,
): Uint8Array {
  return crypto.hmacSha256(salt, VERSION, suite, utf8(label), ikm);
}

/** RFC 9180 §4, for at most one hash of output: the first block of HKDF-Expand, cut. */
function labeledExpand(
  crypto: SealCrypto,
  suite: Bytes,
  secret: Bytes,
  label: string,
  info: Bytes,
  length: number,
): Uint8Array {
  const lengthBytes = Uint8Array.of(length >>> 8, length & 0xff);
  const block = crypto.hmacSha256(secret, lengthBytes, VERSION, suite, utf8(label), info, Uint8Array.of(1));
  if (length === block.length) return block;
  const cut = block.slice(0, length);
  wipe(block);
  return cut;
}
