/**
 * Arrays for secrets. V8 keeps typed arrays of up to 64 bytes inside its own heap, where the collector copies them
 * about and `wipe` reaches only the newest copy: an array over an `ArrayBuffer` of its own stays in one place.
 */

/** `n` zero bytes outside V8's heap. */
export const secretBytes = (n: number): Uint8Array => new Uint8Array(new ArrayBuffer(n));

/** A copy of `bytes` there; whoever made those wipes them. */
export function secretCopy(bytes: Uint8Array): Uint8Array {
  const copy = secretBytes(bytes.length);
  copy.set(bytes);
  return copy;
}

/** `secretBytes` without the zeros: only for results that are written whole (saves 12 % of a 16 KB box). */
export function unfilledBytes(n: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(n);
  return new Uint8Array(buffer, byteOffset, n);
}
