/**
 * The capability's layout (relay.md §4): what the gateway would have to store of a device, sealed under its own key
 * and handed to the one subscriber that may use it. 256 bytes, XChaCha20-Poly1305 with a random nonce.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError, Reader } from '../../../shared/encoding/reader.js';
import { CAPABILITY_SIZE } from '../../../shared/relay/batch.js';
import { PUBLIC_KEY_SIZE } from '../../../shared/relay/constants.js';
import {
  APP_TAG_SIZE,
  ENVIRONMENTS,
  type Environment,
  environmentCode,
  SUBSCRIBER_TAG_SIZE,
} from '../../../shared/relay/identity.js';
import { KEY_ID_SIZE } from '../../../shared/relay/sealed-record.js';
import { MAX_TOKEN_SIZE, readToken } from '../../../shared/relay/sealed-token.js';
import { CAPABILITY_ID_SIZE } from '../../../shared/relay/verification.js';
import type { Epoch } from './epochs.js';

const VERSION = 1;
const PREFIX_SIZE = 1 + KEY_ID_SIZE;
const NONCE_SIZE = 24;
const PLAINTEXT_SIZE = 211;
const TAIL_SIZE = 20;
const PROVEN = 1;

/** Times are Unix seconds. */
export interface CapabilityFields {
  /** The device answered a verification push through this subscriber. */
  readonly proven: boolean;
  readonly environment: Environment;
  readonly appTag: Uint8Array;
  readonly subscriberTag: Uint8Array;
  /** 16 random bytes that survive renewal and proof: codes are made of them. */
  readonly id: Uint8Array;
  readonly createdAt: number;
  /** When these bytes were sealed. */
  readonly issued: number;
  /** Start of the slot of the code that proved it; 0 = never. */
  readonly provenAt: number;
  readonly expires: number;
  readonly ownerKey: Uint8Array;
  readonly token: Uint8Array;
}

/** Fields as views into `plaintext`, which whoever opened it wipes when done. */
export interface OpenCapability extends CapabilityFields {
  readonly plaintext: Uint8Array;
  /** The epoch whose key sealed it. */
  readonly epoch: Epoch;
}

/** Seals under the epoch's key; 256 bytes. */
export function sealCapability(crypto: Crypto, epoch: Epoch, fields: CapabilityFields): Uint8Array {
  const out = new Uint8Array(CAPABILITY_SIZE);
  out[0] = VERSION;
  out.set(epoch.keyId, 1);
  const nonce = crypto.randomBytes(NONCE_SIZE);
  out.set(nonce, PREFIX_SIZE);
  const plaintext = encodeFields(fields);
  const aad = out.subarray(0, PREFIX_SIZE);
  out.set(crypto.xchacha20Poly1305Seal(epoch.capabilityKey, nonce, aad, plaintext), PREFIX_SIZE + NONCE_SIZE);
  wipe(plaintext);
  return out;
}

/** The key id of a capability as a view. Throws `DecodeError` where it isn't one. */
export function capabilityKeyId(capability: Bytes): Uint8Array {
  if (capability.length !== CAPABILITY_SIZE || capability[0] !== VERSION) throw new DecodeError('capability');
  return capability.subarray(1, PREFIX_SIZE);
}

/** Opens with the key of the epoch that it names. Throws `DecodeError` on a forgery or a wrong layout. */
export function openCapability(crypto: Crypto, epoch: Epoch, capability: Bytes): OpenCapability {
  const aad = capability.subarray(0, PREFIX_SIZE);
  const nonce = capability.subarray(PREFIX_SIZE, PREFIX_SIZE + NONCE_SIZE);
  const box = capability.subarray(PREFIX_SIZE + NONCE_SIZE);
  const plaintext = crypto.xchacha20Poly1305Open(epoch.capabilityKey, nonce, aad, box);
  if (plaintext?.length !== PLAINTEXT_SIZE) throw new DecodeError('capability');
  try {
    return decodeFields(plaintext, epoch);
  } catch (error) {
    wipe(plaintext);
    throw error;
  }
}

function encodeFields(fields: CapabilityFields): Uint8Array {
  const out = new Uint8Array(PLAINTEXT_SIZE);
  const view = new DataView(out.buffer);
  out[0] = fields.proven ? PROVEN : 0;
  out[1] = environmentCode(fields.environment);
  out.set(fields.appTag.subarray(0, APP_TAG_SIZE), 2);
  out.set(fields.subscriberTag.subarray(0, SUBSCRIBER_TAG_SIZE), 10);
  out.set(fields.id.subarray(0, CAPABILITY_ID_SIZE), 26);
  view.setUint32(42, fields.createdAt);
  view.setUint32(46, fields.issued);
  view.setUint32(50, fields.provenAt);
  view.setUint32(54, fields.expires);
  out.set(fields.ownerKey.subarray(0, PUBLIC_KEY_SIZE), 58);
  out[90] = fields.token.length;
  out.set(fields.token.subarray(0, MAX_TOKEN_SIZE), 91);
  return out;
}

function decodeFields(plaintext: Uint8Array, epoch: Epoch): OpenCapability {
  const reader = new Reader(plaintext);
  const flags = reader.u8();
  const environment = ENVIRONMENTS[reader.u8()];
  if (flags > PROVEN || environment === undefined) throw new DecodeError('capability');
  return {
    plaintext,
    epoch,
    proven: flags === PROVEN,
    environment,
    appTag: reader.take(APP_TAG_SIZE),
    subscriberTag: reader.take(SUBSCRIBER_TAG_SIZE),
    id: reader.take(CAPABILITY_ID_SIZE),
    createdAt: reader.u32(),
    issued: reader.u32(),
    provenAt: reader.u32(),
    expires: reader.u32(),
    ownerKey: reader.take(PUBLIC_KEY_SIZE),
    token: tokenAndTail(reader),
  };
}

function tokenAndTail(reader: Reader): Uint8Array {
  const token = readToken(reader);
  for (let i = 0; i < TAIL_SIZE; i++) if (reader.u8() !== 0) throw new DecodeError('padding');
  reader.end();
  return token;
}
