/** Whether the server's session key is its own (guide C.2, H.1): sessions that sign have no other use for the key. */
import type { Bytes } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';
import { decodeSignedKey } from '../smp/signed-key.js';
import type { ByteTransport } from './transport.js';

/** Whether `der` is an X25519 key signed by the key of the server's TLS certificate. */
export function vouchedFor(transport: ByteTransport, der: Bytes): boolean {
  try {
    const { signed, key, algorithm, signature } = decodeSignedKey(der);
    return key.algorithm === 'x25519' && transport.verify(algorithm, signed, signature);
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
