/** Both crypto back ends, for tests that must hold on each, and shorthands for vectors. */
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadNativeCrypto, loadWasmCrypto } from '../../shared/crypto/load.js';
import { fromHex } from '../../shared/encoding/bytes.js';

export const native: Crypto = await loadNativeCrypto();
export const wasm: Crypto = await loadWasmCrypto();
export const backends: readonly Crypto[] = [native, wasm];

/** Bytes of hex; spaces and line breaks between the digits are skipped. */
export function hex(text: string): Uint8Array {
  const bytes = fromHex(text.replace(/\s+/g, ''));
  if (bytes === undefined) throw new Error('not hex');
  return bytes;
}

/** `length` bytes that count up from `first`. */
export const counting = (first: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => first + i);
