/**
 * `Crypto` over one build of libsodium. All that is common to the back ends is here once: checks of lengths, what
 * counts as a forgery, fresh memory for results. Results never share memory with a pool or with an argument.
 */
import { timingSafeEqual } from 'node:crypto';
import { type Bytes, wipe } from '../encoding/bytes.js';
import { type Crypto, CryptoError, type KeyPair } from './crypto.js';
import { hashes } from './hashes.js';
import { hsalsa20 } from './hsalsa20.js';
import { secretBytes, unfilledBytes } from './memory.js';
import { RandomPool } from './random-pool.js';
import type { AeadDecrypt, AeadEncrypt, Sodium } from './sodium.js';

const KEY = 32;
const TAG = 16;
const SIGNATURE = 64;
const KEYED_HASH = 16;
const SALSA20_NONCE = 8;
const HSALSA20_INPUT = 16;
const XSALSA20_NONCE = 24;
const CHACHA20_NONCE = 12;
const XCHACHA20_NONCE = 24;

function need(bytes: Bytes, length: number): void {
  if (bytes.length !== length) throw new CryptoError('a key or nonce has the wrong length');
}

const smallOrder = (): CryptoError => new CryptoError('X25519 with a public key of small order');

export function createCrypto(backend: Crypto['backend'], sodium: Sodium): Crypto {
  const random = new RandomPool();
  return {
    backend,
    randomBytes: (n) => random.take(n),
    equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
    ...x25519Functions(sodium, random),
    ...boxFunctions(sodium),
    ...ed25519Functions(sodium, random),
    ...aeadFunctions(sodium),
    ...hashes,
    keyedHash: keyedHashFunction(sodium),
  };
}

/** An array of its own for each call of libsodium would cost as much as the hash. */
function keyedHashFunction(sodium: Sodium): Crypto['keyedHash'] {
  const hash = secretBytes(KEYED_HASH);
  return (key, message) => {
    need(key, KEY);
    sodium.crypto_generichash(hash, message, key);
    return hash.slice();
  };
}

type X25519Functions = Pick<Crypto, 'x25519KeyPair' | 'x25519PublicKey' | 'x25519'>;

function x25519Functions(sodium: Sodium, random: RandomPool): X25519Functions {
  const x25519PublicKey = (privateKey: Bytes): Uint8Array => {
    need(privateKey, KEY);
    const publicKey = secretBytes(KEY);
    sodium.crypto_scalarmult_base(publicKey, privateKey);
    return publicKey;
  };
  const x25519 = (privateKey: Bytes, publicKey: Bytes): Uint8Array => {
    need(privateKey, KEY);
    need(publicKey, KEY);
    const shared = secretBytes(KEY);
    try {
      sodium.crypto_scalarmult(shared, privateKey, publicKey); // libsodium refuses an all-zero result
    } catch {
      throw smallOrder();
    }
    return shared;
  };
  const x25519KeyPair = (): KeyPair => {
    const privateKey = random.take(KEY);
    return { privateKey, publicKey: x25519PublicKey(privateKey) };
  };
  return { x25519KeyPair, x25519PublicKey, x25519 };
}

type BoxFunctions = Pick<
  Crypto,
  'hsalsa20' | 'secretboxSeal' | 'secretboxOpen' | 'boxSeal' | 'salsa20Poly1305Seal'
>;

function boxFunctions(sodium: Sodium): BoxFunctions {
  return {
    hsalsa20: (key, input) => {
      need(key, KEY);
      need(input, HSALSA20_INPUT);
      return hsalsa20(key, input);
    },
    secretboxSeal: (key, nonce, message) => {
      need(key, KEY);
      need(nonce, XSALSA20_NONCE);
      const box = unfilledBytes(TAG + message.length);
      sodium.crypto_secretbox_easy(box, message, nonce, key);
      return box;
    },
    secretboxOpen: (key, nonce, box) => {
      need(key, KEY);
      need(nonce, XSALSA20_NONCE);
      if (box.length < TAG) return undefined;
      const message = secretBytes(box.length - TAG);
      return sodium.crypto_secretbox_open_easy(message, box, nonce, key) ? message : undefined;
    },
    boxSeal: (privateKey, publicKey, nonce, message) => {
      need(privateKey, KEY);
      need(publicKey, KEY);
      need(nonce, XSALSA20_NONCE);
      const box = unfilledBytes(TAG + message.length);
      try {
        sodium.crypto_box_easy(box, message, nonce, publicKey, privateKey);
      } catch {
        throw smallOrder();
      }
      return box;
    },
    salsa20Poly1305Seal: (key, nonce, message) => {
      need(key, KEY);
      need(nonce, SALSA20_NONCE);
      // The key stream's first 32 bytes are the one-time key of Poly1305; the message is encrypted by what follows.
      const stream = secretBytes(KEY + message.length);
      stream.set(message, KEY);
      sodium.crypto_stream_salsa20_xor(stream, stream, nonce, key);
      const box = unfilledBytes(TAG + message.length);
      const ciphertext = stream.subarray(KEY);
      sodium.crypto_onetimeauth(box.subarray(0, TAG), ciphertext, stream.subarray(0, KEY));
      box.set(ciphertext, TAG);
      wipe(stream);
      return box;
    },
  };
}

type Ed25519Functions = Pick<Crypto, 'ed25519KeyPair' | 'ed25519Sign' | 'ed25519Verify'>;

function ed25519Functions(sodium: Sodium, random: RandomPool): Ed25519Functions {
  return {
    ed25519KeyPair: (seed) => {
      const from = seed ?? random.take(KEY);
      need(from, KEY);
      const publicKey = secretBytes(KEY);
      const privateKey = secretBytes(2 * KEY);
      sodium.crypto_sign_seed_keypair(publicKey, privateKey, from);
      if (seed === undefined) wipe(from);
      return { publicKey, privateKey };
    },
    ed25519Sign: (secretKey, message) => {
      need(secretKey, 2 * KEY);
      const signature = new Uint8Array(SIGNATURE);
      sodium.crypto_sign_detached(signature, message, secretKey);
      return signature;
    },
    ed25519Verify: (publicKey, message, signature) => {
      need(publicKey, KEY);
      return (
        signature.length === SIGNATURE && sodium.crypto_sign_verify_detached(signature, message, publicKey)
      );
    },
  };
}

type AeadFunctions = Pick<
  Crypto,
  'chacha20Poly1305Seal' | 'chacha20Poly1305Open' | 'xchacha20Poly1305Seal' | 'xchacha20Poly1305Open'
>;

function aeadFunctions(sodium: Sodium): AeadFunctions {
  return {
    chacha20Poly1305Seal: seal(sodium.crypto_aead_chacha20poly1305_ietf_encrypt, CHACHA20_NONCE),
    chacha20Poly1305Open: open(sodium.crypto_aead_chacha20poly1305_ietf_decrypt, CHACHA20_NONCE),
    xchacha20Poly1305Seal: seal(sodium.crypto_aead_xchacha20poly1305_ietf_encrypt, XCHACHA20_NONCE),
    xchacha20Poly1305Open: open(sodium.crypto_aead_xchacha20poly1305_ietf_decrypt, XCHACHA20_NONCE),
  };
}

function seal(encrypt: AeadEncrypt, nonceLength: number): Crypto['chacha20Poly1305Seal'] {
  return (key, nonce, aad, message) => {
    need(key, KEY);
    need(nonce, nonceLength);
    const box = unfilledBytes(message.length + TAG);
    encrypt(box, message, aad, null, nonce, key);
    return box;
  };
}

function open(decrypt: AeadDecrypt, nonceLength: number): Crypto['chacha20Poly1305Open'] {
  return (key, nonce, aad, box) => {
    need(key, KEY);
    need(nonce, nonceLength);
    if (box.length < TAG) return undefined;
    const message = secretBytes(box.length - TAG);
    try {
      decrypt(message, null, box, aad, nonce, key);
      return message;
    } catch {
      return undefined;
    }
  };
}
