/** Test tokens are texts that end up in a path: letters, digits, `-` and `_` only, so that they stay one segment. */
export function isPathWord(token: Uint8Array): boolean {
  return token.every(
    (c) =>
      (c >= 0x30 && c <= 0x39) ||
      (c >= 0x41 && c <= 0x5a) ||
      (c >= 0x61 && c <= 0x7a) ||
      c === 0x2d ||
      c === 0x5f,
  );
}
