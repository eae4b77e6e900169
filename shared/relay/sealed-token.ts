/**
 * A device token sealed to the gateway's key (relay.md §3): the only form in which a token leaves the machine that
 * got it. HPKE base mode on our own crypto; the plaintext is overwritten as soon as it is sealed.
 */
import type { Crypto } from '../crypto/crypto.js';
import { secretCopy } from '../crypto/memory.js';
import { type Bytes, concat, wipe } from '../encoding/bytes.js';
import { DecodeError, decodeAll, type Reader } from '../encoding/reader.js';
import { PUBLIC_KEY_SIZE } from './constants.js';
import {
  APP_TAG_SIZE,
  ENVIRONMENTS,
  type Environment,
  environmentCode,
  SUBSCRIBER_TAG_SIZE,
} from './identity.js';
import {
  openRecord,
  type SealedKind,
  type SealingKey,
  sealedKeyId,
  sealedSize,
  sealRecord,
} from './sealed-record.js';

export const MAX_TOKEN_SIZE = 100;
/** A sealed token older than this is refused (relay.md §3). */
export const SEALED_TOKEN_LIFE_SECONDS = 24 * 3600;

const VERSION = 1;
export const TOKEN_FIELDS_SIZE = 176;
const TAIL_SIZE = 13;
const TOKEN: SealedKind = { version: VERSION, size: TOKEN_FIELDS_SIZE };
export const SEALED_TOKEN_SIZE = sealedSize(TOKEN);

export interface TokenFields {
  readonly environment: Environment;
  /** SHA-256(topic)[0..8]. */
  readonly appTag: Uint8Array;
  /** Unix seconds. */
  readonly createdAt: number;
  /** The subscriber that may exchange it, 16 bytes. */
  readonly subscriberTag: Uint8Array;
  /** The phone's Ed25519 key, 32 bytes; zeros from a stock client. */
  readonly ownerKey: Uint8Array;
  /** 1 to 100 bytes: decoded from Apple's hex; in the test environment the text as it is. */
  readonly token: Uint8Array;
}

/** Seals; 229 bytes. Throws `RangeError` on wrong sizes. The caller still owns, and wipes, `fields.token`. */
export function encodeSealedToken(crypto: Crypto, key: SealingKey, fields: TokenFields): Uint8Array {
  const plaintext = encodeTokenFields(fields);
  try {
    return sealRecord(crypto, key, TOKEN, plaintext);
  } finally {
    wipe(plaintext);
  }
}

/** The id of the key that a sealed token was sealed to (a view). Throws `DecodeError` where it isn't one. */
export const sealedTokenKeyId = (sealed: Bytes): Uint8Array => sealedKeyId(sealed, TOKEN);

/**
 * Opens with the private key (32) that `sealedTokenKeyId` names; undefined where it is not sealed to that key.
 * The fields are copies: the caller wipes `fields.token`. Throws `DecodeError` on a wrong layout.
 */
export function openSealedToken(crypto: Crypto, privateKey: Bytes, sealed: Bytes): TokenFields | undefined {
  const plaintext = openRecord(crypto, privateKey, TOKEN, sealed);
  if (plaintext === undefined) return undefined;
  try {
    return decodeAll(plaintext, readTokenFields);
  } finally {
    wipe(plaintext);
  }
}

/** The 176 bytes of relay.md §3. Throws `RangeError` on wrong sizes. */
export function encodeTokenFields(fields: TokenFields): Uint8Array {
  const { token } = fields;
  if (token.length < 1 || token.length > MAX_TOKEN_SIZE) throw new RangeError('token length');
  const out = new Uint8Array(TOKEN_FIELDS_SIZE);
  const view = new DataView(out.buffer);
  out[0] = VERSION;
  out[1] = environmentCode(fields.environment);
  out.set(sized(fields.appTag, APP_TAG_SIZE), 2);
  view.setUint32(10, fields.createdAt);
  out.set(sized(fields.subscriberTag, SUBSCRIBER_TAG_SIZE), 14);
  out.set(sized(fields.ownerKey, PUBLIC_KEY_SIZE), 30);
  out[62] = token.length;
  out.set(token, 63);
  return out;
}

/** The fields of those bytes as copies. Throws `DecodeError`. */
export function readTokenFields(reader: Reader): TokenFields {
  if (reader.u8() !== VERSION) throw new DecodeError('unknown version');
  const environment = ENVIRONMENTS[reader.u8()];
  if (environment === undefined) throw new DecodeError('unknown environment');
  const appTag = concat(reader.take(APP_TAG_SIZE));
  const createdAt = reader.u32();
  const subscriberTag = concat(reader.take(SUBSCRIBER_TAG_SIZE));
  const ownerKey = concat(reader.take(PUBLIC_KEY_SIZE));
  const token = readToken(reader);
  if (reader.take(TAIL_SIZE).some((byte) => byte !== 0)) throw new DecodeError('padding');
  // Copied last: what is refused leaves no copy.
  return { environment, appTag, createdAt, subscriberTag, ownerKey, token: secretCopy(token) };
}

/** `length u8 (1..100) · token[100]`, the rest zeros: one token has one encoding. Returns a view. */
export function readToken(reader: Reader): Uint8Array {
  const length = reader.u8();
  const field = reader.take(MAX_TOKEN_SIZE);
  if (length < 1 || length > MAX_TOKEN_SIZE) throw new DecodeError('token length');
  for (let i = length; i < MAX_TOKEN_SIZE; i++) if (field[i] !== 0) throw new DecodeError('padding');
  return field.subarray(0, length);
}

function sized(bytes: Bytes, size: number): Bytes {
  if (bytes.length !== size) throw new RangeError(`expected ${size} bytes`);
  return bytes;
}
