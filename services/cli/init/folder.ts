/** What both kinds of `init` share: a new folder, public files, and the address shown to the person. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { renderUnicodeCompact } from 'uqr';
import { UsageError } from '../failure.js';

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

/** The address as text and, in a terminal, as QR code; then what to do next. */
export function announce(what: string, uri: string, next: readonly string[]): void {
  const say = (text: string) => process.stdout.write(`${text}\n`);
  say(`${what}\n\n  ${uri}\n`);
  if (process.stdout.isTTY) say(`${renderUnicodeCompact(uri)}\n`);
  say('Next:');
  for (const line of next) say(`  ${line}`);
}
