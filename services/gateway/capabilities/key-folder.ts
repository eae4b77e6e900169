/**
 * Dated 32-byte keys that the gateway makes itself, one 0600 file each in a folder of its state: sealing keys and
 * epoch roots. Written whole, then renamed; destroyed by overwriting before unlinking. Replicas share the folder.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Bytes, toHex } from '../../../shared/encoding/bytes.js';
import { decodeAll } from '../../../shared/encoding/reader.js';
import { Writer } from '../../../shared/encoding/writer.js';
import { KEY_ID_SIZE } from '../../../shared/relay/sealed-record.js';
import { readSecretFile, secretFolder, writeSecretFile } from '../../../shared/run/files.js';
import { Secret } from '../../../shared/run/secret.js';

export interface DatedKey {
  /** 4 random bytes. */
  readonly keyId: Uint8Array;
  /** Unix seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** 32 bytes. */
  readonly secret: Secret;
}

const VERSION = 1;
const SECRET_SIZE = 32;
const FILE_SIZE = 1 + KEY_ID_SIZE + 4 + 4 + SECRET_SIZE;
const NAME = /^[0-9a-f]{8}\.key$/;
/** More files than this are not looked at: keys change weekly and are destroyed when their days are over. */
const MAX_KEYS = 256;

/** Name of a key's file, also how logs and the operator call it: it says nothing about the key. */
export const keyName = (keyId: Bytes): string => toHex(keyId);

export class KeyFolder {
  readonly path: string;
  private readonly label: string;

  /**
   * Makes the folder. Throws `SecretFileError` where others may look into it.
   * @param label what `Secret`s of this folder print as
   */
  constructor(path: string, label: string) {
    this.path = path;
    this.label = label;
    secretFolder(path);
  }

  /** Names of the keys that are there. */
  names(): string[] {
    const names = readdirSync(this.path).filter((name) => NAME.test(name));
    return names.slice(0, MAX_KEYS).map((name) => name.slice(0, -'.key'.length));
  }

  has(name: string): boolean {
    return existsSync(this.file(name));
  }

  /** Throws `SecretFileError`, or `DecodeError` where the file is none of ours. */
  read(name: string): DatedKey {
    const bytes = readSecretFile(this.file(name));
    // Copies by `Uint8Array.from`: `slice` of a Buffer is a view.
    const key = decodeAll(bytes, (reader) => {
      reader.expect(String.fromCharCode(VERSION));
      const keyId = Uint8Array.from(reader.take(KEY_ID_SIZE));
      const notBefore = reader.u32();
      const notAfter = reader.u32();
      const secret = Uint8Array.from(reader.take(SECRET_SIZE));
      return { keyId, notBefore, notAfter, secret: new Secret(this.label, secret) };
    });
    bytes.fill(0);
    return key;
  }

  write(key: DatedKey): void {
    const out = new Writer(FILE_SIZE).u8(VERSION).bytes(key.keyId);
    const bytes = out.u32(key.notBefore).u32(key.notAfter).bytes(key.secret.bytes).view();
    try {
      writeSecretFile(this.file(keyName(key.keyId)), bytes);
    } finally {
      bytes.fill(0);
    }
  }

  /** Overwrites the file and unlinks it. A file that is gone already is no error. */
  destroy(name: string): void {
    const file = this.file(name);
    try {
      const fd = openSync(file, 'r+');
      writeSync(fd, new Uint8Array(FILE_SIZE));
      fsyncSync(fd);
      closeSync(fd);
      unlinkSync(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  private file(name: string): string {
    return join(this.path, `${name}.key`);
  }
}
