/**
 * What phones and subscribers seal to a gateway's key (relay.md §3, §6): `version u8 · keyId[4] · enc[32] · ct`. HPKE
 * base mode on our own crypto; the version is authenticated, so that one kind of record never opens as another.
 */
import type { Crypto } from '../crypto/crypto.js';
import { hpkeOpen, hpkeSeal, type SealCrypto } from '../crypto/hpke.js';
import { type Bytes, concat, utf8 } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';

export const KEY_ID_SIZE = 4;
const PREFIX_SIZE = 1 + KEY_ID_SIZE;
const ENC_SIZE = 32;
const TAG_SIZE = 16;
const INFO = utf8('porchlight token v1');

/** A gateway's X25519 sealing key, as its statement advertises it. */
export interface SealingKey {
  /** 4 bytes. */
  readonly keyId: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** A kind of sealed record. */
export interface SealedKind {
  readonly version: number;
  /** Of the plaintext. */
  readonly size: number;
}

export const sealedSize = ({ size }: SealedKind): number => PREFIX_SIZE + ENC_SIZE + size + TAG_SIZE;

/** Seals. The caller still owns, and wipes, the plaintext. Throws `RangeError` on wrong sizes. */
export function sealRecord(
  crypto: SealCrypto,
  key: SealingKey,
  kind: SealedKind,
  plaintext: Bytes,
): Uint8Array {
  if (key.keyId.length !== KEY_ID_SIZE || plaintext.length !== kind.size) throw new RangeError('record size');
  const aad = concat(Uint8Array.of(kind.version), key.keyId);
  const { enc, ciphertext } = hpkeSeal(crypto, key.publicKey, INFO, aad, plaintext);
  return concat(aad, enc, ciphertext);
}

/** The id of the key that a record was sealed to (a view). Throws `DecodeError` where it is not of this kind. */
export function sealedKeyId(sealed: Bytes, kind: SealedKind): Uint8Array {
  if (sealed.length !== sealedSize(kind)) throw new DecodeError('sealed record size');
  if (sealed[0] !== kind.version) throw new DecodeError('unknown version');
  return sealed.subarray(1, PREFIX_SIZE);
}

/** The plaintext, which the caller wipes; undefined where it is not sealed to this key. Throws `DecodeError`. */
export function openRecord(
  crypto: Crypto,
  privateKey: Bytes,
  kind: SealedKind,
  sealed: Bytes,
): Uint8Array | undefined {
  sealedKeyId(sealed, kind);
  const enc = sealed.subarray(PREFIX_SIZE, PREFIX_SIZE + ENC_SIZE);
  const ciphertext = sealed.subarray(PREFIX_SIZE + ENC_SIZE);
  return hpkeOpen(crypto, privateKey, enc, INFO, sealed.subarray(0, PREFIX_SIZE), ciphertext);
}
