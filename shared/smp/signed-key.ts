/**
 * A session key signed by a certificate's key (guide C.2), as SMP and NTF handshakes carry it: its shape only, so
 * that a runtime without native cryptography can read it. Who signs and verifies is in `handshake.ts` and the SDK.
 */
import { type Bytes, concat, fromHex } from '../encoding/bytes.js';
import { decodePublicKey, encodePublicKey, type Key } from '../encoding/keys.js';
import { DecodeError, decodeAll, Reader } from '../encoding/reader.js';

export type SigningAlgorithm = 'ed25519' | 'ed448';

/** A session key signed by a certificate's key; `signed` are the bytes that the signature covers. */
export interface SignedKey {
  readonly signed: Bytes;
  readonly key: Key;
  readonly algorithm: SigningAlgorithm;
  readonly signature: Bytes;
}

/** Around the signed bytes: the outer SEQUENCE; behind them: algorithm and BIT STRING (guide C.2). */
const SIGNED_FORMS: readonly {
  algorithm: SigningAlgorithm;
  head: Uint8Array;
  middle: Uint8Array;
  signatureSize: number;
}[] = [
  {
    algorithm: 'ed25519',
    head: fromHex('3078')!,
    middle: fromHex('300506032b6570034100')!,
    signatureSize: 64,
  },
  {
    algorithm: 'ed448',
    head: fromHex('3081aa')!,
    middle: fromHex('300506032b6571037300')!,
    signatureSize: 114,
  },
];
/** What is signed is the SubjectPublicKeyInfo wrapped in one more SEQUENCE. */
const WRAPPER = fromHex('302c')!;
const SIGNED_SIZE = 46;

/** Reads the DER object `SEQUENCE { SEQUENCE { key }, algorithm, signature }`. Throws `DecodeError`. */
export const decodeSignedKey = (der: Bytes): SignedKey => decodeAll(der, readSignedKey);

function readSignedKey(r: Reader): SignedKey {
  const form = SIGNED_FORMS.find(({ head }) => accept(r, head));
  if (form === undefined) throw new DecodeError('not a signed key');
  const signed = r.take(SIGNED_SIZE);
  const inner = new Reader(signed);
  if (!accept(inner, WRAPPER) || !accept(r, form.middle)) throw new DecodeError('not a signed key');
  const key = decodePublicKey(inner.tail());
  return { signed, key, algorithm: form.algorithm, signature: r.take(form.signatureSize) };
}

function accept(r: Reader, bytes: Bytes): boolean {
  if (bytes.some((byte, i) => r.bytes[r.offset + i] !== byte)) return false;
  r.take(bytes.length);
  return true;
}

/** The bytes to sign for a key. */
export const wrapKey = (key: Key): Uint8Array => concat(WRAPPER, encodePublicKey(key));

/** The DER object of bytes from `wrapKey` and their signature. */
export function encodeSignedKey({ signed, algorithm, signature }: Omit<SignedKey, 'key'>): Uint8Array {
  const form = SIGNED_FORMS.find((f) => f.algorithm === algorithm)!;
  return concat(form.head, signed, form.middle, signature);
}
