/**
 * The owner's sealed revocation (relay.md §6): with the key that went into its capabilities, a phone ends all of
 * them that name its token, through any subscriber. 293 bytes; only the gateway learns whose it is.
 */
import type { Crypto, KeyPair } from '../crypto/crypto.js';
import type { SealCrypto } from '../crypto/hpke.js';
import { type Bytes, concat, wipe } from '../encoding/bytes.js';
import { DecodeError, decodeAll } from '../encoding/reader.js';
import { SUBSCRIBER_TAG_SIZE } from './identity.js';
import {
  openRecord,
  type SealedKind,
  type SealingKey,
  sealedKeyId,
  sealedSize,
  sealRecord,
} from './sealed-record.js';
import { encodeTokenFields, readTokenFields, TOKEN_FIELDS_SIZE, type TokenFields } from './sealed-token.js';

const SIGNATURE_SIZE = 64;
const REVOCATION: SealedKind = { version: 2, size: TOKEN_FIELDS_SIZE + SIGNATURE_SIZE };
export const SEALED_REVOCATION_SIZE = sealedSize(REVOCATION);

/** What a revocation names; `createdAt` is the time up to which it ends capabilities, in Unix seconds. */
export type RevocationFields = Omit<TokenFields, 'ownerKey' | 'subscriberTag'> & {
  /** Left out, zeros: the gateway does not look at it, for any subscriber may bring a revocation. */
  readonly subscriberTag?: Uint8Array;
};

/** Without an owner key, as stock clients are: nobody can sign for it. */
export const isNoOwner = (ownerKey: Bytes): boolean => ownerKey.every((byte) => byte === 0);

/**
 * Signs with the owner's key pair and seals. Throws `RangeError` on wrong sizes. The caller still owns, and wipes,
 * `fields.token`.
 */
export function encodeSealedRevocation(
  crypto: SealCrypto & Pick<Crypto, 'ed25519Sign'>,
  key: SealingKey,
  owner: KeyPair,
  fields: RevocationFields,
): Uint8Array {
  const signed = encodeTokenFields({
    subscriberTag: new Uint8Array(SUBSCRIBER_TAG_SIZE),
    ...fields,
    ownerKey: owner.publicKey,
  });
  const plaintext = concat(signed, crypto.ed25519Sign(owner.privateKey, signed));
  try {
    return sealRecord(crypto, key, REVOCATION, plaintext);
  } finally {
    wipe(signed, plaintext);
  }
}

/** The id of the key that it was sealed to (a view). Throws `DecodeError` where it is no revocation. */
export const sealedRevocationKeyId = (sealed: Bytes): Uint8Array => sealedKeyId(sealed, REVOCATION);

/**
 * Opens with the private key (32) that `sealedRevocationKeyId` names; undefined where it is not sealed to that key.
 * The fields, whose owner signed them, are copies: the caller wipes `token`. Throws `DecodeError` on a wrong layout
 * or signature, or where there is no owner.
 */
export function openSealedRevocation(
  crypto: Crypto,
  privateKey: Bytes,
  sealed: Bytes,
): TokenFields | undefined {
  const plaintext = openRecord(crypto, privateKey, REVOCATION, sealed);
  if (plaintext === undefined) return undefined;
  const signed = plaintext.subarray(0, TOKEN_FIELDS_SIZE);
  try {
    const fields = decodeAll(signed, readTokenFields);
    const signature = plaintext.subarray(TOKEN_FIELDS_SIZE);
    const isOwners = !isNoOwner(fields.ownerKey) && crypto.ed25519Verify(fields.ownerKey, signed, signature);
    if (isOwners) return fields;
    wipe(fields.token);
    throw new DecodeError('signature');
  } finally {
    wipe(plaintext);
  }
}
