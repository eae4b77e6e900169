/**
 * Proof of ownership (relay.md §5): the payload of a `verification` frame, and the code that the gateway draws.
 * The subscriber never makes a code up: it hands over the key of one box, and the gateway fills that box.
 */
import type { Crypto } from '../crypto/crypto.js';
import type { Bytes } from '../encoding/bytes.js';
import { DecodeError, Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { PAYLOAD_SIZE } from './batch.js';

/** `m`, the Salsa20-Poly1305 key of one box. */
export const BOX_KEY_SIZE = 32;
export const CODE_SIZE = 32;
export const CAPABILITY_ID_SIZE = 16;
/** A code is the same within one slot. */
export const SLOT_SECONDS = 300;
/** Codes of the last 7 days stay good, as stock clients need. */
export const CODE_LIFE_SECONDS = 7 * 24 * 3600;

const MAC_SIZE = 28;

export const slotOf = (unixSeconds: number): number => Math.floor(unixSeconds / SLOT_SECONDS);
export const slotStart = (slot: number): number => slot * SLOT_SECONDS;

/** `m[32]`, then zeros. Throws `RangeError` where `m` has another length. */
export function encodeVerificationPayload(m: Bytes): Uint8Array {
  if (m.length !== BOX_KEY_SIZE) throw new RangeError(`expected ${BOX_KEY_SIZE} bytes`);
  const out = new Uint8Array(PAYLOAD_SIZE);
  out.set(m);
  return out;
}

/** `m` as a view into the payload. Throws `DecodeError`. */
export function decodeVerificationPayload(payload: Bytes): Uint8Array {
  if (payload.length !== PAYLOAD_SIZE) throw new DecodeError('payload size');
  for (let i = BOX_KEY_SIZE; i < PAYLOAD_SIZE; i++) if (payload[i] !== 0) throw new DecodeError('padding');
  return payload.subarray(0, BOX_KEY_SIZE);
}

/** `slot u32 · HMAC-SHA256(codeKey, id ‖ slot)[0..28]`. */
export function makeCode(crypto: Crypto, codeKey: Bytes, id: Bytes, slot: number): Uint8Array {
  const slotBytes = new Writer(4).u32(slot).done();
  const mac = crypto.hmacSha256(codeKey, id, slotBytes);
  return new Writer(CODE_SIZE).bytes(slotBytes).bytes(mac.subarray(0, MAC_SIZE)).done();
}

/** The slot that a code names. Throws `DecodeError` where it has not the length of a code. */
export function codeSlot(code: Bytes): number {
  if (code.length !== CODE_SIZE) throw new DecodeError('code size');
  return new Reader(code).u32();
}
