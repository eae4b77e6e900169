/**
 * The phone's cryptography in plain JavaScript (tweetnacl), so that the SDK runs in any runtime: the part of
 * `Crypto` that the protocols' client side needs, with the same meaning.
 */
import nacl from 'tweetnacl';
import { type Crypto, CryptoError } from '../crypto/crypto.js';
import { type Bytes, concat, utf8, wipe } from '../encoding/bytes.js';

export type SdkCrypto = Pick<
  Crypto,
  | 'randomBytes'
  | 'equal'
  | 'x25519KeyPair'
  | 'x25519PublicKey'
  | 'x25519'
  | 'hsalsa20'
  | 'secretboxSeal'
  | 'secretboxOpen'
  | 'ed25519KeyPair'
  | 'ed25519Sign'
  | 'ed25519Verify'
  | 'sha512'
  | 'hkdfSha512'
>;

/** tweetnacl exports HSalsa20, but its types don't say so. */
type HSalsa20 = (out: Uint8Array, input: Bytes, key: Bytes, constant: Bytes) => void;
const { crypto_core_hsalsa20: coreHSalsa20 } = (
  nacl as unknown as { lowlevel: { crypto_core_hsalsa20: HSalsa20 } }
).lowlevel;
const SIGMA = utf8('expand 32-byte k');
const HASH_SIZE = 64;
const HASH_BLOCK_SIZE = 128;

export const naclCrypto: SdkCrypto = {
  randomBytes: (n) => globalThis.crypto.getRandomValues(new Uint8Array(n)),
  // tweetnacl's comparison is constant time but false for empty arrays.
  equal: (a, b) => a.length === b.length && (a.length === 0 || nacl.verify(a, b)),
  x25519KeyPair() {
    const privateKey = naclCrypto.randomBytes(nacl.scalarMult.scalarLength);
    return { privateKey, publicKey: nacl.scalarMult.base(privateKey) };
  },
  x25519PublicKey: (privateKey) => nacl.scalarMult.base(privateKey),
  x25519(privateKey, publicKey) {
    const secret = nacl.scalarMult(privateKey, publicKey);
    if (secret.every((byte) => byte === 0)) throw new CryptoError('all-zero shared secret');
    return secret;
  },
  hsalsa20(key, input) {
    const out = new Uint8Array(32);
    coreHSalsa20(out, input, key, SIGMA);
    return out;
  },
  secretboxSeal: (key, nonce, message) => nacl.secretbox(message, nonce, key),
  secretboxOpen: (key, nonce, box) => nacl.secretbox.open(box, nonce, key) ?? undefined,
  ed25519KeyPair(seed) {
    const { publicKey, secretKey } = nacl.sign.keyPair.fromSeed(seed ?? naclCrypto.randomBytes(32));
    return { publicKey, privateKey: secretKey };
  },
  ed25519Sign: (secretKey, message) => nacl.sign.detached(message, secretKey),
  ed25519Verify: (publicKey, message, signature) =>
    signature.length === nacl.sign.signatureLength &&
    nacl.sign.detached.verify(message, signature, publicKey),
  sha512: (...parts) => nacl.hash(concat(...parts)),
  hkdfSha512(salt, ikm, info, length) {
    const key = hmacSha512(salt, ikm);
    const out = new Uint8Array(length);
    let block = new Uint8Array(0);
    for (let at = 0, n = 1; at < length; at += HASH_SIZE, n++) {
      block = hmacSha512(key, concat(block, info, Uint8Array.of(n)));
      out.set(block.subarray(0, length - at), at);
    }
    wipe(key, block);
    return out;
  },
};

/** RFC 2104, for keys of at most one block of the hash. */
function hmacSha512(key: Bytes, message: Bytes): Uint8Array<ArrayBuffer> {
  const padded = (mask: number): Uint8Array =>
    Uint8Array.from({ length: HASH_BLOCK_SIZE }, (_, i) => (key[i] ?? 0) ^ mask);
  const inner = concat(padded(0x36), message);
  const outer = concat(padded(0x5c), nacl.hash(inner));
  const mac = nacl.hash(outer);
  wipe(inner, outer);
  return new Uint8Array(mac);
}
