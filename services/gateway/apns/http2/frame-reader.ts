/** Cuts what a socket delivers into frames, however it is cut on the way (RFC 9113 §4.1). */
import { Flag, FRAME_HEADER_SIZE, Http2Error, MAX_FRAME_SIZE } from './protocol.js';

/** The frame at hand; its payload is `bytes` from `start` to `end`, and only valid while it is handled. */
export interface Frame {
  type: number;
  flags: number;
  streamId: number;
  bytes: Buffer;
  start: number;
  end: number;
}

const LARGEST = FRAME_HEADER_SIZE + MAX_FRAME_SIZE;
const NONE = Buffer.alloc(0);

export class FrameReader {
  private readonly handle: (frame: Frame) => void;
  private readonly frame: Frame = { type: 0, flags: 0, streamId: 0, bytes: NONE, start: 0, end: 0 };
  /** The beginning of a frame whose rest has not come yet; made when first needed. */
  private partial = NONE;
  private held = 0;

  /** @param handle may throw; the reader is of no use afterwards */
  constructor(handle: (frame: Frame) => void) {
    this.handle = handle;
  }

  /** Hands over every frame that is whole. Throws `Http2Error` on one that is larger than was announced. */
  read(chunk: Buffer): void {
    let at = this.held === 0 ? 0 : this.complete(chunk);
    while (at < chunk.length) {
      const size = sizeAt(chunk, at, chunk.length);
      if (size === undefined || at + size > chunk.length) {
        this.hold(chunk, at, chunk.length);
        return;
      }
      this.deliver(chunk, at, size);
      at += size;
    }
  }

  /** Ends the frame that is held with what is in the chunk; returns how much of it that took. */
  private complete(chunk: Buffer): number {
    let at = 0;
    if (this.held < FRAME_HEADER_SIZE) at = this.hold(chunk, 0, FRAME_HEADER_SIZE - this.held);
    const size = sizeAt(this.partial, 0, this.held);
    if (size === undefined) return at;
    at = this.hold(chunk, at, at + size - this.held);
    if (this.held < size) return at;
    this.held = 0;
    this.deliver(this.partial, 0, size);
    return at;
  }

  /** Keeps what there is of the chunk up to `end`; returns where that ended. */
  private hold(chunk: Buffer, start: number, end: number): number {
    if (this.partial.length === 0) this.partial = Buffer.allocUnsafeSlow(LARGEST);
    const held = chunk.copy(this.partial, this.held, start, Math.min(end, chunk.length));
    this.held += held;
    return start + held;
  }

  private deliver(bytes: Buffer, at: number, size: number): void {
    const { frame } = this;
    frame.type = bytes[at + 3]!;
    frame.flags = bytes[at + 4]!;
    frame.streamId = uint31(bytes, at + 5);
    frame.bytes = bytes;
    frame.start = at + FRAME_HEADER_SIZE;
    frame.end = at + size;
    this.handle(frame);
  }
}

/** Of the frame at `at`, its header included; undefined where not even that is there. */
function sizeAt(bytes: Buffer, at: number, end: number): number | undefined {
  if (end - at < FRAME_HEADER_SIZE) return undefined;
  const length = bytes.readUIntBE(at, 3);
  if (length > MAX_FRAME_SIZE) throw new Http2Error('FRAME_SIZE_ERROR');
  return FRAME_HEADER_SIZE + length;
}

/** Without the reserved bit before it. */
export const uint31 = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at) & 0x7fff_ffff;

/** Throws where the payload has another length (RFC 9113 §4.2). */
export function checkSize({ start, end }: Frame, length: number): void {
  if (end - start !== length) throw new Http2Error('FRAME_SIZE_ERROR');
}

/** Leaves the padding out, where there is some (RFC 9113 §6.1). */
export function unpad(frame: Frame): void {
  if ((frame.flags & Flag.PADDED) === 0) return;
  if (frame.start === frame.end) throw new Http2Error('FRAME_SIZE_ERROR');
  frame.end -= frame.bytes[frame.start]!;
  frame.start++;
  if (frame.start > frame.end) throw new Http2Error('PROTOCOL_ERROR');
}
