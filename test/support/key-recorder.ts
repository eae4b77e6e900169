/** A `Crypto` that copies every key, shared secret and sealed capability that passes, so that a test can look for them. */
import type { Crypto, KeyPair } from '../../shared/crypto/crypto.js';
import { toHex } from '../../shared/encoding/bytes.js';

type Call = (...args: unknown[]) => unknown;

/** Which argument is a key, and what of the result is secret. */
const SECRETS: Readonly<Record<string, { argument?: number; result?: 'all' | 'privateKey' }>> = {
  x25519KeyPair: { result: 'privateKey' },
  x25519PublicKey: { argument: 0 },
  x25519: { argument: 0, result: 'all' },
  hsalsa20: { argument: 0, result: 'all' },
  secretboxSeal: { argument: 0 },
  secretboxOpen: { argument: 0 },
  salsa20Poly1305Seal: { argument: 0 },
  ed25519KeyPair: { result: 'privateKey' },
  ed25519Sign: { argument: 0 },
  chacha20Poly1305Seal: { argument: 0 },
  chacha20Poly1305Open: { argument: 0, result: 'all' },
  /** What comes out is most of a capability. */
  xchacha20Poly1305Seal: { argument: 0, result: 'all' },
  xchacha20Poly1305Open: { argument: 0, result: 'all' },
  hmacSha256: { argument: 0 },
  hkdfSha256: { argument: 1, result: 'all' },
};

/** An Ed25519 secret key is its seed, which is secret, and the public key. */
const SECRET_SIZE = 32;

export interface KeyRecorder {
  readonly crypto: Crypto;
  /** By function and first digits; all of different bytes. */
  readonly secrets: Map<string, Uint8Array>;
}

export function recordKeys(crypto: Crypto): KeyRecorder {
  const secrets = new Map<string, Uint8Array>();
  const keep = (name: string, value: unknown): void => {
    if (!(value instanceof Uint8Array) || value.length < SECRET_SIZE) return;
    const secret = Uint8Array.from(value.subarray(0, SECRET_SIZE));
    if (secret.some((byte) => byte !== 0)) secrets.set(`${name} ${toHex(secret)}`, secret);
  };
  const recording = new Proxy(crypto, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      const secret = typeof name === 'string' ? SECRETS[name] : undefined;
      if (typeof member !== 'function' || secret === undefined) return member;
      return (...args: unknown[]): unknown => {
        if (secret.argument !== undefined) keep(String(name), args[secret.argument]);
        const result = (member as Call).apply(target, args);
        if (secret.result === 'all') keep(String(name), result);
        if (secret.result === 'privateKey') keep(String(name), (result as KeyPair).privateKey);
        return result;
      };
    },
  });
  return { crypto: recording, secrets };
}
