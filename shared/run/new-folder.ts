/** A folder of a service's own, made by `init`. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UsageError } from './usage-error.js';

/** Makes the folder; refuses one that has the configuration already, so that no key is overwritten. */
export function newFolder(dir: string, file: string): string {
  if (existsSync(join(dir, file))) {
    throw new UsageError(`${join(dir, file)} exists already; choose another --dir, or remove it first`);
  }
  const folder = resolve(dir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

export function writePublic(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o644 });
}
