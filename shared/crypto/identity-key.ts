/** A service's long-term Ed25519 key in a PKCS#8 PEM file of mode 0600. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { wipe } from '../encoding/bytes.js';
import { readSecretFile, SecretFileError, writeSecretFile } from '../run/files.js';
import type { Crypto, KeyPair } from './crypto.js';

const SEED_LENGTH = 32;

/** Reads the key; throws `SecretFileError` where it is missing, readable by others, or no Ed25519 key. */
export function readIdentityKey(crypto: Crypto, path: string): KeyPair {
  const pem = readSecretFile(path);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new SecretFileError('');
    const der = key.export({ format: 'der', type: 'pkcs8' }); // ends in the seed; as a JWK it would be a string
    const pair = crypto.ed25519KeyPair(der.subarray(-SEED_LENGTH));
    wipe(der);
    return pair;
  } catch {
    throw new SecretFileError(`${path}: not an Ed25519 private key in PEM; make one with: porchlight init`);
  } finally {
    pem.fill(0);
  }
}

/** Puts a new key in the place of the old one, which is overwritten. Throws where the file can't be replaced. */
export function replaceIdentityKey(path: string): void {
  const next = `${path}.next`;
  const fd = openSync(path, 'r+');
  try {
    createIdentityKey(next);
    writeSync(fd, new Uint8Array(fstatSync(fd).size));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(next, path);
}

/** Makes a key file. */
export function createIdentityKey(path: string): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeSecretFile(path, privateKey.export({ format: 'pem', type: 'pkcs8' }));
}
