/** Files that hold a service's own secrets: 0600 or refused; written whole, then renamed. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** A file that can't be used. The message names the file and what is wrong, never its content. */
export class SecretFileError extends Error {
  override readonly name = 'SecretFileError';
}

/** Reads a secret file; throws `SecretFileError` where others than its owner may read it. */
export function readSecretFile(path: string): Buffer {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new SecretFileError(
      `${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : 'cannot be read'}`,
    );
  }
  try {
    const mode = fstatSync(fd).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      throw new SecretFileError(
        `${path}: mode ${mode.toString(8)} lets others read it; run: chmod 600 ${path}`,
      );
    }
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a folder for secrets; throws `SecretFileError` where others than its owner may look or write into it. */
export function secretFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new SecretFileError(`${path}: mode ${mode.toString(8)} lets others in; run: chmod 700 ${path}`);
}

/**
 * Writes a secret file with mode 0600, so that a reader sees the old or the new content, never a part, also after
 * a crash. Where that fails nothing is left behind.
 */
export function writeSecretFile(path: string, content: Uint8Array | string): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    writeDraft(draft, content);
    renameSync(draft, path);
  } catch (error) {
    remove(draft);
    throw error;
  }
  syncFolder(folder);
}

function writeDraft(draft: string, content: Uint8Array | string): void {
  const fd = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function remove(draft: string): void {
  try {
    unlinkSync(draft);
  } catch {
    // never made
  }
}

/** The new name outlives a loss of power only once its folder is written too. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
