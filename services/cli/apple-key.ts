/** Finds Apple's key where the operator put it: the browser saved it as AuthKey_KEYID.p8. */
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UsageError } from '../../shared/run/usage-error.js';

const DOWNLOADED = /^AuthKey_([A-Z0-9]{10})\.p8$/;

export interface AppleKey {
  readonly file: string;
  /** Where the file's name tells it. */
  readonly keyId?: string;
}

/**
 * The key that `given` names, a file or a folder that holds one; without it, the one in `folders`.
 * Undefined where there is none. Throws `UsageError` where there are several, or `given` is not there.
 */
export function findAppleKey(given: string | undefined, folders: readonly string[]): AppleKey | undefined {
  if (given !== undefined && !isFolder(given)) return keyAt(given);
  const searched = given === undefined ? folders : [given];
  // One key may lie in several folders, as the download and its copy for the service: the last one is the service's.
  const found = [...new Map(searched.flatMap(keysIn).map((file) => [basename(file), file])).values()];
  if (found.length > 1) {
    throw new UsageError(`several keys of Apple's, choose one with --apns-key: ${found.join(', ')}`);
  }
  if (found[0] !== undefined) return keyAt(found[0]);
  if (given === undefined) return undefined;
  throw new UsageError(`${given}: no AuthKey_KEYID.p8 in it`);
}

function keyAt(file: string): AppleKey {
  const keyId = DOWNLOADED.exec(basename(file))?.[1];
  return { file, ...(keyId !== undefined && { keyId }) };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    throw new UsageError(`${path}: no such file`);
  }
}

function keysIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => DOWNLOADED.test(name))
      .map((name) => join(folder, name));
  } catch {
    return []; // not made yet
  }
}
