/** Text for the person at the terminal. */
import { renderUnicodeCompact } from 'uqr';

export function say(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}

/** As half blocks; the border is part of the code. */
export function printQrCode(text: string): void {
  say(renderUnicodeCompact(text), '');
}

/** A word as a shell reads it again. */
export const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
