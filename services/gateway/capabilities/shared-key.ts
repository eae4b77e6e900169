/** A 32-byte key in a file of the state folder, 0600: made by whichever replica comes first, the same for all. */
import { existsSync, linkSync, unlinkSync } from 'node:fs';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { toHex } from '../../../shared/encoding/bytes.js';
import { readSecretFile, writeSecretFile } from '../../../shared/run/files.js';
import { Secret } from '../../../shared/run/secret.js';

const KEY_SIZE = 32;

/** @param label what the secret prints as. Throws `SecretFileError` where others may read the file. */
export function openSharedKey(crypto: Crypto, file: string, label: string): Secret {
  if (!existsSync(file)) create(crypto, file);
  const read = readSecretFile(file);
  const key = Uint8Array.from(read);
  read.fill(0);
  if (key.length !== KEY_SIZE) throw new Error(`${file}: expected ${KEY_SIZE} bytes`);
  return new Secret(label, key);
}

/** Whole, then linked: a link never takes the place of another replica's key. */
function create(crypto: Crypto, file: string): void {
  const draft = `${file}.${toHex(crypto.randomBytes(6))}`;
  const key = crypto.randomBytes(KEY_SIZE);
  writeSecretFile(draft, key);
  key.fill(0);
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(draft);
  }
}
