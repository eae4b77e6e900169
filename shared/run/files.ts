/**
 * Files that hold a service's own secrets: 0600, in a folder into which nobody else writes, or refused; written
 * whole, then renamed. Wherever a configuration names a file, `credential:NAME` stands for one that systemd hands to
 * the service (systemd.exec(5), LoadCredential=).
 */
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
import { dirname, join } from 'node:path';

/** A file that can't be used. The message names the file and what is wrong, never its content. */
export class SecretFileError extends Error {
  override readonly name = 'SecretFileError';
}

const CREDENTIAL = 'credential:';
/** What systemd takes as a name, and nothing that leads out of its folder. */
const CREDENTIAL_NAME = /^(?!\.)[A-Za-z0-9._-]{1,255}$/;

export const isCredential = (text: string): boolean => text.startsWith(CREDENTIAL);

/** The path of a file that a configuration names, credentials included. Throws `SecretFileError`. */
export function pathOf(text: string): string {
  if (!isCredential(text)) return text;
  const name = text.slice(CREDENTIAL.length);
  if (!CREDENTIAL_NAME.test(name)) {
    throw new SecretFileError(`${CREDENTIAL}NAME: expected a name of A-Z, a-z, 0-9, dot, - and _`);
  }
  const folder = process.env.CREDENTIALS_DIRECTORY;
  if (folder === undefined || !folder.startsWith('/')) {
    throw new SecretFileError(`${text}: there are no credentials here; in the systemd unit: LoadCredential=`);
  }
  return join(folder, name);
}

/** Reads a secret file or credential; throws `SecretFileError` where others may read or replace it. */
export function readSecretFile(text: string): Buffer {
  const path = pathOf(text);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new SecretFileError(
      `${text}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : 'cannot be read'}`,
    );
  }
  try {
    const mode = fstatSync(fd).mode & 0o777;
    if (isCredential(text)) checkCredential(text, mode);
    else checkSecret(path, mode);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function checkSecret(path: string, mode: number): void {
  if ((mode & 0o077) !== 0) {
    throw new SecretFileError(
      `${path}: mode ${mode.toString(8)} lets others read it; run: chmod 600 ${path}`,
    );
  }
  const folder = dirname(path);
  const { mode: folderMode } = statSync(folder);
  // In a sticky folder such as /tmp others may add files, but not replace this one.
  if ((folderMode & 0o022) === 0 || (folderMode & 0o1000) !== 0) return;
  throw new SecretFileError(`${folder}: others may replace the keys in it; run: chmod 700 ${folder}`);
}

/** systemd gives them 0400, or 0440 where the mask of an access list shows as the group's bits. */
function checkCredential(text: string, mode: number): void {
  if ((mode & 0o037) === 0) return;
  throw new SecretFileError(`${text}: mode ${mode.toString(8)} lets others read it; expected 0400 or 0440`);
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
