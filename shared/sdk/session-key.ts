/**
 * The server's signed session key (guide C.2): a SubjectPublicKeyInfo inside one more SEQUENCE, and it is those 46
 * bytes that are signed. Only checked here: sessions that sign their commands have no use for the key itself.
 */

import { type Bytes, toHex } from '../encoding/bytes.js';
import { DER, readBitString, readElement, readWholeElement } from '../encoding/der.js';
import { DecodeError, decodeAll, Reader } from '../encoding/reader.js';
import { decodePublicKey } from '../smp/keys.js';
import type { ByteTransport } from './transport.js';

/** Object identifiers without parameters, in hex. */
const ALGORITHMS: Readonly<Record<string, 'ed25519' | 'ed448'>> = { '2b6570': 'ed25519', '2b6571': 'ed448' };

/** Whether `der` is an X25519 key signed by the key of the server's TLS certificate. */
export function vouchedFor(transport: ByteTransport, der: Bytes): boolean {
  try {
    const { signed, algorithm, signature } = decodeAll(der, readSignedKey);
    return transport.verify(algorithm, signed, signature);
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

function readSignedKey(reader: Reader) {
  const outer = new Reader(readElement(reader, DER.sequence));
  const signed = readWholeElement(outer, DER.sequence);
  const key = decodePublicKey(readElement(new Reader(signed), DER.sequence));
  const identifier = new Reader(readElement(outer, DER.sequence));
  const algorithm = ALGORITHMS[toHex(readElement(identifier, DER.oid))];
  identifier.end();
  const signature = readBitString(outer);
  outer.end();
  if (key.algorithm !== 'x25519' || algorithm === undefined)
    throw new DecodeError('not a signed session key');
  return { signed, algorithm, signature };
}
