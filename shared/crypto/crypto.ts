/**
 * The cryptography that Porchlight uses, as one interface with two back ends: libsodium built natively, and its
 * WebAssembly build where no native one exists. Made once by `loadCrypto` in a composition root and passed in.
 * Byte arrays are raw keys, never DER. Functions that open or verify return `undefined` / `false` on a forgery.
 */
import type { Bytes } from '../encoding/bytes.js';

export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

export interface Crypto {
  readonly backend: 'native' | 'wasm';

  /** `n` fresh random bytes in an array of their own (drawn from a pool: cheap for small n). */
  randomBytes(n: number): Uint8Array;
  /** Constant-time comparison of secrets of equal length; lengths may be told apart. */
  equal(a: Bytes, b: Bytes): boolean;

  /** X25519, 32-byte keys. */
  x25519KeyPair(): KeyPair;
  x25519PublicKey(privateKey: Bytes): Uint8Array;
  /** The raw shared secret (32). Throws `CryptoError` where it is all zero (relay.md §5). */
  x25519(privateKey: Bytes, publicKey: Bytes): Uint8Array;

  /** HSalsa20(key[32], input[16]) → 32 bytes. */
  hsalsa20(key: Bytes, input: Bytes): Uint8Array;
  /** NaCl crypto_secretbox: XSalsa20-Poly1305, key 32, nonce 24 → tag[16] ‖ ciphertext. */
  secretboxSeal(key: Bytes, nonce: Bytes, message: Bytes): Uint8Array;
  secretboxOpen(key: Bytes, nonce: Bytes, box: Bytes): Uint8Array | undefined;
  /** NaCl crypto_box: `secretboxSeal` under HSalsa20(X25519 secret, 0¹⁶), in one call. Throws as `x25519` does. */
  boxSeal(privateKey: Bytes, publicKey: Bytes, nonce: Bytes, message: Bytes): Uint8Array;
  /** The second half of a secretbox: Salsa20-Poly1305 under an HSalsa20 output, nonce 8 → tag ‖ ciphertext. */
  salsa20Poly1305Seal(key: Bytes, nonce: Bytes, message: Bytes): Uint8Array;

  /** Ed25519: seed 32, secret key 64 (seed ‖ public key), signature 64. */
  ed25519KeyPair(seed?: Bytes): KeyPair;
  ed25519Sign(secretKey: Bytes, message: Bytes): Uint8Array;
  ed25519Verify(publicKey: Bytes, message: Bytes, signature: Bytes): boolean;

  /** IETF ChaCha20-Poly1305 (nonce 12) and XChaCha20-Poly1305 (nonce 24): ciphertext ‖ tag[16]. */
  chacha20Poly1305Seal(key: Bytes, nonce: Bytes, aad: Bytes, message: Bytes): Uint8Array;
  chacha20Poly1305Open(key: Bytes, nonce: Bytes, aad: Bytes, box: Bytes): Uint8Array | undefined;
  xchacha20Poly1305Seal(key: Bytes, nonce: Bytes, aad: Bytes, message: Bytes): Uint8Array;
  xchacha20Poly1305Open(key: Bytes, nonce: Bytes, aad: Bytes, box: Bytes): Uint8Array | undefined;

  /** No protection: only for the hash of a service's queues (guide, Appendix 2). */
  md5(...parts: readonly Bytes[]): Uint8Array;
  sha256(...parts: readonly Bytes[]): Uint8Array;
  sha512(...parts: readonly Bytes[]): Uint8Array;
  hmacSha256(key: Bytes, ...parts: readonly Bytes[]): Uint8Array;
  /** BLAKE2b with a 32-byte key (RFC 7693) → 16 bytes: for names that only this process compares, at a third of HMAC's cost. */
  keyedHash(key: Bytes, message: Bytes): Uint8Array;
  /** RFC 5869, extract and expand. */
  hkdfSha256(salt: Bytes, ikm: Bytes, info: Bytes, length: number): Uint8Array;
  hkdfSha512(salt: Bytes, ikm: Bytes, info: Bytes, length: number): Uint8Array;
}

/** An operation that can't be done with these keys. Carries no data. */
export class CryptoError extends Error {
  override readonly name = 'CryptoError';
}
