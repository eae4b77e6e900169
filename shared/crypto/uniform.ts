/** Random numbers for jitter, spread and delays. */
import type { Crypto } from './crypto.js';

/** Draws numbers in [0, 1), each from 32 random bits. */
export const uniform = (crypto: Pick<Crypto, 'randomBytes'>) => (): number => {
  const bytes = crypto.randomBytes(4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32;
};
