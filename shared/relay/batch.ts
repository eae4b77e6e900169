/** Batches of push frames and the records that answer them (relay.md §6). Pure; sizes are exact. */
import { type Bytes, concat } from '../encoding/bytes.js';
import { DecodeError, decodeAll, type Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';

export const FRAME_ID_SIZE = 16;
export const CAPABILITY_SIZE = 256;
export const NONCE_SIZE = 24;
export const PAYLOAD_SIZE = 2928;
export const FRAME_SIZE = 3232;
export const BATCH_HEADER_SIZE = 8;
export const MAX_FRAMES = 256;
export const ANSWER_SIZE = 272;

/** Index = the byte on the wire. */
export const FRAME_KINDS = ['verification', 'message', 'check', 'alert'] as const;
export type FrameKind = (typeof FRAME_KINDS)[number];

export interface Frame {
  /** 16 random bytes in the subscriber's own name space. */
  readonly id: Uint8Array;
  readonly kind: FrameKind;
  /** Priority 10 rather than 5; background pushes are always 5. */
  readonly urgent: boolean;
  /** 0 none, else a collapse id per kind; never per queue. */
  readonly slot: number;
  /** Unix seconds after which the push is worthless. */
  readonly expiry: number;
  readonly capability: Uint8Array;
  readonly nonce: Uint8Array;
  /** 2,928 bytes: a message's box; a verification's key `m` and zeros; zeros. */
  readonly payload: Uint8Array;
}

/** Outcome kinds with their closed lists of reasons; indexes are the bytes on the wire. */
export const OUTCOMES = {
  accepted: ['none'],
  later: ['budget', 'device', 'provider', 'load'],
  dead: ['bad', 'topic', 'expired', 'unregistered'],
  refused: ['expired', 'unknown-key', 'revoked', 'wrong-subscriber', 'malformed'],
  unavailable: ['provider-down', 'breaker-open'],
} as const;
export type OutcomeKind = keyof typeof OUTCOMES;
const KINDS = Object.keys(OUTCOMES) as OutcomeKind[];

type Reasoned = {
  [K in OutcomeKind]: { readonly kind: K; readonly reason: (typeof OUTCOMES)[K][number] };
}[OutcomeKind];

export type Outcome = Reasoned & {
  /** Seconds to wait (`later`), else 0. */
  readonly after: number;
  /** A renewed capability to keep instead of the old one. */
  readonly capability?: Uint8Array;
};

const VERSION = 1;

/** Header and frames. Throws `RangeError` on wrong sizes or more than 256 frames. */
export function encodeBatch(frames: readonly Frame[]): Uint8Array {
  if (frames.length > MAX_FRAMES) throw new RangeError('too many frames');
  const out = new Writer(BATCH_HEADER_SIZE + frames.length * FRAME_SIZE);
  out.u8(VERSION).u8(0).u16(frames.length).u32(FRAME_SIZE);
  for (const frame of frames) writeFrame(out, frame);
  return out.view();
}

function writeFrame(out: Writer, frame: Frame): void {
  out.bytes(sized(frame.id, FRAME_ID_SIZE));
  out
    .u8(FRAME_KINDS.indexOf(frame.kind))
    .u8(frame.urgent ? 1 : 0)
    .u8(frame.slot)
    .u8(0)
    .u32(frame.expiry);
  out.bytes(sized(frame.capability, CAPABILITY_SIZE)).bytes(sized(frame.nonce, NONCE_SIZE));
  out.bytes(sized(frame.payload, PAYLOAD_SIZE));
}

/** Frames as views into `bytes`. Throws `DecodeError`. */
export function decodeBatch(bytes: Bytes): Frame[] {
  return decodeAll(bytes, (reader) => {
    if (reader.u8() !== VERSION) throw new DecodeError('unknown version');
    if (reader.u8() !== 0) throw new DecodeError('reserved byte');
    const count = reader.u16();
    if (reader.u32() !== FRAME_SIZE) throw new DecodeError('frame size');
    if (count > MAX_FRAMES || reader.remaining !== count * FRAME_SIZE) throw new DecodeError('frame count');
    return Array.from({ length: count }, () => readFrame(reader));
  });
}

function readFrame(reader: Reader): Frame {
  const id = reader.take(FRAME_ID_SIZE);
  const kind = FRAME_KINDS[reader.u8()];
  const urgency = reader.u8();
  const slot = reader.u8();
  if (kind === undefined || urgency > 1 || reader.u8() !== 0) throw new DecodeError('frame header');
  const expiry = reader.u32();
  const capability = reader.take(CAPABILITY_SIZE);
  const nonce = reader.take(NONCE_SIZE);
  return {
    id,
    kind,
    urgent: urgency === 1,
    slot,
    expiry,
    capability,
    nonce,
    payload: reader.take(PAYLOAD_SIZE),
  };
}

/** How one frame of a batch ended. */
export interface Answer {
  readonly index: number;
  readonly outcome: Outcome;
}

/** Records of the streamed answer, one after another. */
export function encodeAnswers(answers: readonly Answer[]): Uint8Array {
  const out = new Writer(answers.length * ANSWER_SIZE);
  for (const answer of answers) writeAnswer(out, answer);
  return out.view();
}

export const encodeAnswer = (index: number, outcome: Outcome): Uint8Array =>
  encodeAnswers([{ index, outcome }]);

function writeAnswer(out: Writer, { index, outcome }: Answer): void {
  const { kind, reason, after, capability } = outcome;
  const reasons: readonly string[] = OUTCOMES[kind];
  out.u16(index).u8(KINDS.indexOf(kind)).u8(reasons.indexOf(reason)).u32(after);
  out.u8(capability ? 1 : 0).zeros(7);
  if (capability) out.bytes(sized(capability, CAPABILITY_SIZE));
  else out.zeros(CAPABILITY_SIZE);
}

/** Throws `DecodeError`. */
export function decodeAnswer(bytes: Bytes): Answer {
  return decodeAll(bytes, (reader) => {
    const index = reader.u16();
    const kind = KINDS[reader.u8()];
    const reason = kind && OUTCOMES[kind][reader.u8()];
    const after = reader.u32();
    const has = reader.u8();
    if (kind === undefined || reason === undefined || has > 1) throw new DecodeError('answer record');
    if (reader.take(7).some((byte) => byte !== 0)) throw new DecodeError('reserved bytes');
    const capability = reader.take(CAPABILITY_SIZE);
    const outcome = { kind, reason, after, ...(has === 1 && { capability: concat(capability) }) } as Outcome;
    return { index, outcome };
  });
}

function sized(bytes: Bytes, size: number): Bytes {
  if (bytes.length !== size) throw new RangeError(`expected ${size} bytes`);
  return bytes;
}
