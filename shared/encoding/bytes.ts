/** Small helpers on byte arrays. Pure; `Uint8Array` everywhere so that the SDK runs in any runtime. */
export type Bytes = Uint8Array;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The parts one after another, in a new array. */
export function concat(...parts: readonly Bytes[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Whether two arrays hold the same bytes. Not constant time: never for secrets (see `Crypto.equal`). */
export function sameBytes(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Overwrites secrets that are no longer needed. */
export function wipe(...secrets: readonly (Bytes | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** UTF-8 (and so ASCII) bytes of a text. */
export const utf8 = (text: string): Uint8Array => encoder.encode(text);

/** Text of UTF-8 bytes; throws `TypeError` where they are not UTF-8. */
export const fromUtf8 = (bytes: Bytes): string => decoder.decode(bytes);

/** Text of bytes, one character a byte: for protocol words and map keys, never for secrets. */
export function latin1(bytes: Bytes): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 4096) {
    // Three times as fast as a spread, and this makes the map keys of every push.
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + 4096) as unknown as number[]);
  }
  return text;
}

const HEX = /^(?:[0-9a-fA-F]{2})*$/;

/** Lower-case hex. */
export function toHex(bytes: Bytes): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Bytes of hex in any case, `undefined` where the text is not hex of even length. */
export function fromHex(text: string): Uint8Array | undefined {
  if (!HEX.test(text)) return undefined;
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}
