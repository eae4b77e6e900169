/**
 * The functions of libsodium that both back ends offer, in the calling form of `sodium-native`: results go into arrays
 * that the caller brings. Lengths are checked before (`createCrypto`): here a wrong one is a bug and may throw anything.
 */
import type { Bytes } from '../encoding/bytes.js';

type Out = Uint8Array;

/** Seals `m` into `c` (16 bytes longer); `nsec` is a place that libsodium leaves unused. */
export type AeadEncrypt = (c: Out, m: Bytes, ad: Bytes, nsec: null, nonce: Bytes, key: Bytes) => unknown;
/** Opens `c` into `m`; throws on a forgery. */
export type AeadDecrypt = (m: Out, nsec: null, c: Bytes, ad: Bytes, nonce: Bytes, key: Bytes) => unknown;

export interface Sodium {
  /** Throws where the result is all zero. */
  crypto_scalarmult(q: Out, privateKey: Bytes, publicKey: Bytes): void;
  crypto_scalarmult_base(q: Out, privateKey: Bytes): void;

  /** Throws where the shared secret is all zero. */
  crypto_box_easy(c: Out, m: Bytes, nonce: Bytes, publicKey: Bytes, privateKey: Bytes): void;
  crypto_secretbox_easy(c: Out, m: Bytes, nonce: Bytes, key: Bytes): void;
  crypto_secretbox_open_easy(m: Out, c: Bytes, nonce: Bytes, key: Bytes): boolean;
  /** May work in place (`c` === `m`). */
  crypto_stream_salsa20_xor(c: Out, m: Bytes, nonce: Bytes, key: Bytes): void;
  crypto_onetimeauth(tag: Out, m: Bytes, key: Bytes): void;
  /** BLAKE2b as long as `hash` is. */
  crypto_generichash(hash: Out, m: Bytes, key: Bytes): void;

  crypto_sign_seed_keypair(publicKey: Out, secretKey: Out, seed: Bytes): void;
  crypto_sign_detached(signature: Out, m: Bytes, secretKey: Bytes): void;
  crypto_sign_verify_detached(signature: Bytes, m: Bytes, publicKey: Bytes): boolean;

  readonly crypto_aead_chacha20poly1305_ietf_encrypt: AeadEncrypt;
  readonly crypto_aead_chacha20poly1305_ietf_decrypt: AeadDecrypt;
  readonly crypto_aead_xchacha20poly1305_ietf_encrypt: AeadEncrypt;
  readonly crypto_aead_xchacha20poly1305_ietf_decrypt: AeadDecrypt;
}
