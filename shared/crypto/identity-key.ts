/** A service's long-term Ed25519 key in a PKCS#8 PEM file of mode 0600. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readSecretFile, SecretFileError, writeSecretFile } from '../run/files.js';
import type { Crypto, KeyPair } from './crypto.js';

/** Reads the key; throws `SecretFileError` where it is missing, readable by others, or no Ed25519 key. */
export function readIdentityKey(crypto: Crypto, path: string): KeyPair {
  const pem = readSecretFile(path);
  try {
    const jwk = createPrivateKey(pem).export({ format: 'jwk' });
    if (jwk.crv !== 'Ed25519' || jwk.d === undefined) throw new SecretFileError('');
    const seed = Buffer.from(jwk.d, 'base64url');
    const pair = crypto.ed25519KeyPair(seed);
    seed.fill(0);
    return pair;
  } catch {
    throw new SecretFileError(`${path}: not an Ed25519 private key in PEM; make one with: porchlight init`);
  } finally {
    pem.fill(0);
  }
}

/** Makes a key file. */
export function createIdentityKey(path: string): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeSecretFile(path, privateKey.export({ format: 'pem', type: 'pkcs8' }));
}
