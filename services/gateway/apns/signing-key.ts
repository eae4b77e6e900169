/** Apple's `.p8` file: a P-256 private key as PKCS#8 in PEM. Read once; the text is overwritten. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readSecretFile } from '../../../shared/run/files.js';

/** A file that holds no such key. The message names the file, never its content. */
export class SigningKeyError extends Error {
  override readonly name = 'SigningKeyError';
}

/** Reads a `.p8` file, which must be 0600. Throws `SecretFileError` or `SigningKeyError`. */
export function readSigningKey(path: string): KeyObject {
  const pem = readSecretFile(path);
  try {
    return parseSigningKey(pem, path);
  } finally {
    pem.fill(0);
  }
}

/** The key of PEM bytes; `name` stands in the error. */
export function parseSigningKey(pem: Buffer, name: string): KeyObject {
  let key: KeyObject;
  try {
    if (!pem.includes('-----BEGIN PRIVATE KEY-----')) throw new TypeError('label');
    key = createPrivateKey({ key: pem, format: 'pem' });
  } catch {
    throw new SigningKeyError(`${name}: not a private key in PKCS#8 PEM, as Apple's .p8 files are`);
  }
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new SigningKeyError(`${name}: not a P-256 key`);
  }
  return key;
}
