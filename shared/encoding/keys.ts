/** Keys as they stand on the wire: a constant DER prefix and the raw key (guide A.2). Pure. */
import { type Bytes, concat, fromHex, sameBytes } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';

export type KeyAlgorithm = 'ed25519' | 'ed448' | 'x25519' | 'x448';
/** Algorithms that may authorise a command: a signature, or for X25519 an authenticator (guide F). */
export type AuthAlgorithm = 'ed25519' | 'ed448' | 'x25519';

export interface Key<A extends KeyAlgorithm = KeyAlgorithm> {
  readonly algorithm: A;
  readonly raw: Uint8Array;
}

interface Form {
  readonly algorithm: KeyAlgorithm;
  readonly length: number;
  readonly spki: Uint8Array;
  readonly pkcs8: Uint8Array;
}

const form = (algorithm: KeyAlgorithm, length: number, spki: string, pkcs8: string): Form => ({
  algorithm,
  length,
  spki: fromHex(spki)!,
  pkcs8: fromHex(pkcs8)!,
});

const FORMS: readonly Form[] = [
  form('ed25519', 32, '302a300506032b6570032100', '302e020100300506032b657004220420'),
  form('ed448', 57, '3043300506032b6571033a00', '3047020100300506032b6571043b0439'),
  form('x25519', 32, '302a300506032b656e032100', '302e020100300506032b656e04220420'),
  form('x448', 56, '3042300506032b656f033900', '3046020100300506032b656f043a0438'),
];

const formOf = (algorithm: KeyAlgorithm): Form => FORMS.find((f) => f.algorithm === algorithm)!;

function decode(der: Bytes, side: 'spki' | 'pkcs8'): Key {
  for (const { algorithm, length, [side]: prefix } of FORMS) {
    if (der.length === prefix.length + length && sameBytes(der.subarray(0, prefix.length), prefix)) {
      return { algorithm, raw: der.subarray(prefix.length) };
    }
  }
  throw new DecodeError('not a known key');
}

/** SubjectPublicKeyInfo DER → key (a view into `der`). Throws `DecodeError`. */
export const decodePublicKey = (der: Bytes): Key => decode(der, 'spki');
/** PKCS#8 version 0 DER → key (a view into `der`). Throws `DecodeError`. */
export const decodePrivateKey = (der: Bytes): Key => decode(der, 'pkcs8');
export const encodePublicKey = (key: Key): Uint8Array => concat(formOf(key.algorithm).spki, key.raw);
export const encodePrivateKey = (key: Key): Uint8Array => concat(formOf(key.algorithm).pkcs8, key.raw);

/** The key, if it is of one of the algorithms; else a `DecodeError`: a wrong family in a field is a syntax error. */
export function ofAlgorithm<A extends KeyAlgorithm>(key: Key, ...algorithms: readonly A[]): Key<A> {
  if ((algorithms as readonly KeyAlgorithm[]).includes(key.algorithm)) return key as Key<A>;
  throw new DecodeError('wrong key algorithm');
}
