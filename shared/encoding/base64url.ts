/** base64url as the SimpleX string encodings write it (padded) and read it (padding optional). */
import type { Bytes } from './bytes.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const CODES = Uint8Array.from(ALPHABET, (c) => c.charCodeAt(0));
const VALUES = new Uint8Array(256).fill(255);
for (let i = 0; i < 64; i++) VALUES[CODES[i]!] = i;
const PAD = 0x3d;

/** Length of the padded base64url of `n` bytes. */
export const base64urlLength = (n: number): number => Math.ceil(n / 3) * 4;

/** Writes the padded base64url of `bytes` as ASCII into `out` at `offset`; returns the offset behind it. */
export function writeBase64url(bytes: Bytes, out: Uint8Array, offset = 0): number {
  const whole = bytes.length - (bytes.length % 3);
  for (let i = 0; i < whole; i += 3) {
    const n = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!;
    out[offset++] = CODES[n >> 18]!;
    out[offset++] = CODES[(n >> 12) & 63]!;
    out[offset++] = CODES[(n >> 6) & 63]!;
    out[offset++] = CODES[n & 63]!;
  }
  if (whole === bytes.length) return offset;
  const two = bytes.length - whole === 2;
  const n = (bytes[whole]! << 16) | (two ? bytes[whole + 1]! << 8 : 0);
  out[offset++] = CODES[n >> 18]!;
  out[offset++] = CODES[(n >> 12) & 63]!;
  out[offset++] = two ? CODES[(n >> 6) & 63]! : PAD;
  out[offset++] = PAD;
  return offset;
}

/** Padded base64url of public bytes as a text. Secrets go through `writeBase64url`: strings can't be wiped. */
export function toBase64url(bytes: Bytes): string {
  const out = new Uint8Array(base64urlLength(bytes.length));
  writeBase64url(bytes, out);
  let text = '';
  for (const code of out) text += String.fromCharCode(code);
  return text;
}

/** The same without padding (JWT, key ids, fingerprints in addresses). */
export const toBase64urlBare = (bytes: Bytes): string => toBase64url(bytes).replace(/=+$/, '');

/**
 * Bytes of base64url with or without padding; `undefined` where it is not base64url.
 * Canonical: unused bits of the last character must be zero, or two texts would name one value.
 */
export function fromBase64url(text: string): Uint8Array | undefined {
  let end = text.length;
  while (end > 0 && text[end - 1] === '=') end--;
  const tail = end % 4;
  if (tail === 1 || text.length - end > 2) return undefined;
  const parts = new Uint8Array(Math.floor((end * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    const value = code < 256 ? VALUES[code]! : 255;
    if (value === 255) return undefined;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      parts[at++] = (held >> bits) & 0xff;
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? parts : undefined;
}
