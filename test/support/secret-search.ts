/** Looks for known secrets in text and files, in every form that they could take on the way there. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pemBlocks } from '../../shared/crypto/x509.js';

/** Shorter ones would be found by chance. */
const MIN_SIZE = 16;
const KEY_SIZE = 32;

/** Raw, hex, base64 and base64url in each of their three alignments, and numbers as arrays print. */
export function formsOf(secret: Uint8Array): Buffer[] {
  if (secret.length < MIN_SIZE) throw new RangeError('too short to look for');
  const bytes = Buffer.from(secret);
  const hex = bytes.toString('hex');
  const texts = [hex, hex.toUpperCase(), bytes.join(',')];
  for (const offset of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    // The first and last characters also hold bits of what stands beside the secret.
    const inner = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    texts.push(inner, inner.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return [bytes, ...texts.map((text) => Buffer.from(text))];
}

/** Names of the secrets that stand somewhere in `place`. */
export function secretsIn(place: Uint8Array | string, secrets: ReadonlyMap<string, Uint8Array>): string[] {
  const text = Buffer.from(place as string);
  return [...secrets]
    .filter(([, secret]) => formsOf(secret).some((form) => text.includes(form)))
    .map(([name]) => name);
}

export interface FoundFile {
  readonly path: string;
  /** Permissions only. */
  readonly mode: number;
  readonly content: Buffer;
}

/** The keys in a service's key files by path: a seed, a root, or the end of an Apple key. */
export function keysIn(files: readonly FoundFile[]): Map<string, Uint8Array> {
  const keys = new Map<string, Uint8Array>();
  for (const { path, content } of files.filter((file) => /\.(key|p8)$/.test(file.path))) {
    const der = content.includes('-----BEGIN') ? pemBlocks(content.toString())[0]!.der : content;
    keys.set(path, Uint8Array.from(der.subarray(-KEY_SIZE)));
  }
  return keys;
}

/** Every file below a folder. */
export function filesBelow(folder: string): FoundFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => ({ path, mode: statSync(path).mode & 0o777, content: readFileSync(path) }));
}
