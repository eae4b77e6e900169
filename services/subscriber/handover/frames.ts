/**
 * The frames of a hand-over (README.md): u32 length, u8 type, body. What they carry crosses a Unix socket of mode 0600
 * and nothing else; buffers are overwritten once they were written or read. Pure.
 */
import { type Bytes, concat, latin1, utf8, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError, Reader } from '../../../shared/encoding/reader.js';
import { Writer } from '../../../shared/encoding/writer.js';
import type { ListenAddress } from '../../../shared/run/listen.js';

/** Of all that follows the proof. A successor reads this one and the one before. */
export const FORMAT = 3;
export const READS = { min: FORMAT - 1, max: FORMAT } as const;
/** From this one on the predecessor lets go of its addresses before the commit. */
export const FREES_FIRST = 3;

export const NONCE_SIZE = 32;
export const SIGNATURE_SIZE = 64;
/** Longest type and body. */
export const MAX_FRAME = 128 * 1024;
const LENGTH_BYTES = 4;

/** Index = the byte on the wire, so that names are only added at the end. */
export const TYPES = [
  'hello',
  'challenge',
  'proof',
  'begin',
  'state',
  'end',
  'ready',
  'commit',
  'event',
  'released',
  'finished',
  'abort',
  'free',
  'listening',
  'taken',
] as const;
export type FrameType = (typeof TYPES)[number];

export interface WireFrame {
  readonly type: FrameType;
  readonly body: Bytes;
}

/** Why a side gives up: closed words, for logs. */
export const REASONS = [
  'key',
  'version',
  'frame',
  'state',
  'configuration',
  'stalled',
  'busy',
  'stopped',
] as const;
export type Reason = (typeof REASONS)[number];

/** The frame as bytes, to be overwritten once written. Throws `RangeError` where it is too long. */
export function encodeFrame(type: FrameType, body: Bytes = new Uint8Array(0)): Uint8Array {
  const length = 1 + body.length;
  if (length > MAX_FRAME) throw new RangeError('frame too long');
  const out = new Uint8Array(LENGTH_BYTES + length);
  new DataView(out.buffer).setUint32(0, length);
  out[LENGTH_BYTES] = TYPES.indexOf(type);
  out.set(body, LENGTH_BYTES + 1);
  return out;
}

/** Takes frames out of a stream. Bodies are arrays of their own. */
export class FrameReader {
  private held: Uint8Array = new Uint8Array(0);

  /** The frames that are whole now; overwrites `chunk`. Throws `DecodeError`. */
  push(chunk: Uint8Array): WireFrame[] {
    const bytes = this.held.length === 0 ? chunk : concat(this.held, chunk);
    wipe(this.held);
    try {
      const frames: WireFrame[] = [];
      let at = 0;
      for (let frame = frameAt(bytes, at); frame; frame = frameAt(bytes, at)) {
        frames.push(frame);
        at += LENGTH_BYTES + 1 + frame.body.length;
      }
      this.held = concat(bytes.subarray(at));
      return frames;
    } finally {
      wipe(chunk, bytes);
    }
  }

  /** Overwrites what was left. */
  end(): void {
    wipe(this.held);
  }
}

function frameAt(bytes: Bytes, at: number): WireFrame | undefined {
  if (bytes.length < at + LENGTH_BYTES) return undefined;
  const length = new Reader(bytes.subarray(at)).u32();
  if (length < 1 || length > MAX_FRAME) throw new DecodeError('length of a frame');
  const from = at + LENGTH_BYTES;
  if (bytes.length < from + length) return undefined;
  const type = TYPES[bytes[from]!];
  if (type === undefined) throw new DecodeError('type of a frame');
  return { type, body: concat(bytes.subarray(from + 1, from + length)) };
}

const MAGIC = 'porchlight';

/** What a successor begins with. */
export interface Hello {
  /** Formats that it reads. */
  readonly min: number;
  readonly max: number;
  readonly nonce: Uint8Array;
}

export const encodeHello = ({ min, max, nonce }: Hello): Uint8Array =>
  new Writer().text(MAGIC).u16(min).u16(max).bytes(nonce).done();

/** Throws `DecodeError`, as the others do. */
export function decodeHello(body: Bytes): Hello {
  const r = new Reader(body);
  r.expect(MAGIC);
  const hello = { min: r.u16(), max: r.u16(), nonce: r.take(NONCE_SIZE) };
  r.end();
  return hello;
}

/** The predecessor's answer: its format, and the proof that it has the key. */
export interface Challenge {
  readonly format: number;
  readonly nonce: Uint8Array;
  readonly signature: Uint8Array;
}

export const encodeChallenge = ({ format, nonce, signature }: Challenge): Uint8Array =>
  new Writer().u16(format).bytes(nonce).bytes(signature).done();

export function decodeChallenge(body: Bytes): Challenge {
  const r = new Reader(body);
  const challenge = { format: r.u16(), nonce: r.take(NONCE_SIZE), signature: r.take(SIGNATURE_SIZE) };
  r.end();
  return challenge;
}

/** A listening socket, by the name of its listener. */
export interface NamedAddress extends ListenAddress {
  readonly name: string;
}

/** From here on the predecessor holds still. */
export interface Begin {
  /** Its monotonic clock, milliseconds. */
  readonly now: number;
  /** What it listens on and can let go of. */
  readonly addresses: readonly NamedAddress[];
}

export function encodeBegin(now: number, addresses: readonly NamedAddress[]): Uint8Array {
  const write = ({ name, host, port }: NamedAddress): Writer =>
    w.shortString(utf8(name)).shortString(utf8(host)).u16(port);
  const w = new Writer().f64(now);
  return w.list(addresses, write).done();
}

export function decodeBegin(body: Bytes): Begin {
  const r = new Reader(body);
  const begin = { now: r.f64(), addresses: r.list(() => readAddress(r)) };
  r.end();
  return begin;
}

const readAddress = (r: Reader): NamedAddress => ({
  name: latin1(r.shortString()),
  host: latin1(r.shortString()),
  port: r.u16(),
});

/** Of the predecessor's listeners whose addresses the successor needs. */
export function encodeNames(names: readonly string[]): Uint8Array {
  const w = new Writer();
  return w.list(names, (name) => w.shortString(utf8(name))).done();
}

export function decodeNames(body: Bytes): string[] {
  const r = new Reader(body);
  const names = r.list(() => latin1(r.shortString()));
  r.end();
  return names;
}

export const encodeReason = (reason: Reason): Uint8Array => Uint8Array.of(REASONS.indexOf(reason));

export function decodeReason(body: Bytes): Reason {
  const r = new Reader(body);
  const reason = REASONS[r.u8()];
  r.end();
  if (reason === undefined) throw new DecodeError('unknown reason');
  return reason;
}
