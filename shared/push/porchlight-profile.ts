/**
 * Profile `porchlight`: what a push says to a phone, before it is boxed (see README.md here, design §5). A header of
 * 16 bytes and up to 14 entries of 205, always the same 2,912 bytes. Pure; names no server and no queue address.
 */
import type { Bytes } from '../encoding/bytes.js';
import { DecodeError, decodeAll, type Reader } from '../encoding/reader.js';

/** The box is 16 bytes longer: the payload of a frame (relay.md §6). */
export const PLAINTEXT_SIZE = 2912;
export const HEADER_SIZE = 16;
export const ENTRY_SIZE = 205;
export const MAX_PUSH_ENTRIES = 14;
export const SUBSCRIPTION_ID_SIZE = 24;
export const ENTRY_NONCE_SIZE = 24;
/** Metadata of this length and no other travels. */
export const METADATA_SIZE = 144;

const VERSION = 1;
const REST_SIZE = PLAINTEXT_SIZE - HEADER_SIZE - MAX_PUSH_ENTRIES * ENTRY_SIZE;
const FLAG = { overflow: 1, maybeMissed: 2, check: 4 } as const;
const KNOWN_FLAGS = FLAG.overflow | FLAG.maybeMissed | FLAG.check;
/** Beside the class: nonce and metadata are zeros. */
const BARE = 0x80;

/** What kind of signal an entry is; the index is the number on the wire. */
export const SIGNAL_CLASSES = ['message', 'update'] as const;
export type SignalClass = (typeof SIGNAL_CLASSES)[number];

export interface PushFlags {
  /** Signals were dropped before they were told: messages may wait in any queue. */
  readonly overflow: boolean;
  /** Signals may have been destroyed on their way to the subscriber: likewise. */
  readonly maybeMissed: boolean;
  /** A periodic wake-up. */
  readonly check: boolean;
}

export interface PushHeader extends PushFlags {
  /** u16, drawn at registration: sequence numbers of another epoch don't compare. */
  readonly epoch: number;
  /** u32, one more for each push with new content. */
  readonly sequence: number;
  /** u32, Unix seconds at which the push was made. */
  readonly time: number;
}

/** The latest signal of one queue. */
export interface PushEntry {
  /** 24 bytes, as SNEW was answered. */
  readonly subscriptionId: Uint8Array;
  /** Sequence number of the first push with this signal. */
  readonly sequence: number;
  readonly class: SignalClass;
  /** Unix seconds at which the signal was received. */
  readonly time: number;
  /** What the messaging server said: nonce (24) and encrypted metadata (144); absent where it had another length. */
  readonly sealed?: { readonly nonce: Uint8Array; readonly metadata: Uint8Array };
}

export interface PorchlightPush extends PushHeader {
  /** In the order of receipt. */
  readonly entries: readonly PushEntry[];
}

/** The plaintext, 2,912 bytes, in an array of its own. Throws `RangeError` on more than 14 entries or wrong sizes. */
export function encodePush(push: PorchlightPush): Uint8Array {
  const out = new Uint8Array(PLAINTEXT_SIZE);
  writePush(push, out);
  return out;
}

/** Writes the plaintext over all of `out`, 2,912 bytes, so that one array can serve many pushes. */
export function writePush(push: PorchlightPush, out: Uint8Array): void {
  const { entries } = push;
  if (out.length !== PLAINTEXT_SIZE || entries.length > MAX_PUSH_ENTRIES) throw new RangeError('push size');
  const view = new DataView(out.buffer, out.byteOffset);
  out.fill(0);
  out[0] = VERSION;
  out[1] = flagBits(push);
  out[2] = entries.length;
  view.setUint16(4, push.epoch);
  view.setUint32(6, push.sequence);
  view.setUint32(10, push.time);
  let at = HEADER_SIZE;
  for (const entry of entries) {
    writeEntry(entry, out, view, at);
    at += ENTRY_SIZE;
  }
}

/** id[24] · sequence u32 · class u8 · time i64 · nonce[24] · metadata[144]. */
function writeEntry(entry: PushEntry, out: Uint8Array, view: DataView, at: number): void {
  const { subscriptionId, sequence, time, sealed } = entry;
  out.set(sized(subscriptionId, SUBSCRIPTION_ID_SIZE), at);
  view.setUint32(at + 24, sequence);
  out[at + 28] = SIGNAL_CLASSES.indexOf(entry.class) | (sealed === undefined ? BARE : 0);
  view.setBigInt64(at + 29, BigInt(time));
  if (sealed === undefined) return;
  out.set(sized(sealed.nonce, ENTRY_NONCE_SIZE), at + 37);
  out.set(sized(sealed.metadata, METADATA_SIZE), at + 61);
}

/** Entries are copies. Throws `DecodeError` on anything that `encodePush` does not write. */
export function decodePush(plaintext: Bytes): PorchlightPush {
  return decodeAll(plaintext, (reader) => {
    if (reader.remaining !== PLAINTEXT_SIZE) throw new DecodeError('push size');
    if (reader.u8() !== VERSION) throw new DecodeError('unknown version');
    const bits = reader.u8();
    const count = reader.u8();
    if ((bits & ~KNOWN_FLAGS) !== 0 || count > MAX_PUSH_ENTRIES) throw new DecodeError('push header');
    zeros(reader, 1);
    const epoch = reader.u16();
    const sequence = reader.u32();
    const time = reader.u32();
    zeros(reader, 2);
    const entries = Array.from({ length: count }, () => readEntry(reader));
    zeros(reader, (MAX_PUSH_ENTRIES - count) * ENTRY_SIZE + REST_SIZE);
    return { ...flagsOf(bits), epoch, sequence, time, entries };
  });
}

function readEntry(reader: Reader): PushEntry {
  const subscriptionId = reader.take(SUBSCRIPTION_ID_SIZE).slice();
  const sequence = reader.u32();
  const kind = reader.u8();
  const name = SIGNAL_CLASSES[kind & ~BARE];
  if (name === undefined) throw new DecodeError('unknown class');
  const entry = { subscriptionId, sequence, class: name, time: reader.i64() };
  if ((kind & BARE) !== 0) {
    zeros(reader, ENTRY_NONCE_SIZE + METADATA_SIZE);
    return entry;
  }
  const nonce = reader.take(ENTRY_NONCE_SIZE).slice();
  return { ...entry, sealed: { nonce, metadata: reader.take(METADATA_SIZE).slice() } };
}

const flagBits = ({ overflow, maybeMissed, check }: PushFlags): number =>
  (overflow ? FLAG.overflow : 0) | (maybeMissed ? FLAG.maybeMissed : 0) | (check ? FLAG.check : 0);

const flagsOf = (bits: number): PushFlags => ({
  overflow: (bits & FLAG.overflow) !== 0,
  maybeMissed: (bits & FLAG.maybeMissed) !== 0,
  check: (bits & FLAG.check) !== 0,
});

function zeros(reader: Reader, n: number): void {
  if (reader.take(n).some((byte) => byte !== 0)) throw new DecodeError('reserved bytes');
}

function sized(bytes: Bytes, size: number): Bytes {
  if (bytes.length !== size) throw new RangeError(`expected ${size} bytes`);
  return bytes;
}
