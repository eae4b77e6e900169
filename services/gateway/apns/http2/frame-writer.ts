/** Frames as this side writes them (RFC 9113 §4.1, §6). Each function returns the offset behind what it wrote. */
import { ErrorCode, type ErrorWord, Flag, FRAME_HEADER_SIZE, FrameType } from './protocol.js';

export function writeFrameHeader(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = (length >>> 8) & 0xff;
  out[at + 2] = length & 0xff;
  out[at + 3] = type;
  out[at + 4] = flags;
  out[at + 5] = streamId >>> 24;
  out[at + 6] = (streamId >>> 16) & 0xff;
  out[at + 7] = (streamId >>> 8) & 0xff;
  out[at + 8] = streamId & 0xff;
  return at + FRAME_HEADER_SIZE;
}

/** @param settings pairs of identifier and value */
export function settingsFrame(settings: ReadonlyArray<readonly [number, number]>): Buffer {
  const out = framed(settings.length * 6, FrameType.SETTINGS, 0, 0);
  let at = FRAME_HEADER_SIZE;
  for (const [id, value] of settings) at = out.writeUInt32BE(value, out.writeUInt16BE(id, at));
  return out;
}

export const SETTINGS_ACK: Buffer = framed(0, FrameType.SETTINGS, Flag.ACK, 0);

/** @param data 8 bytes */
export function pingFrame(data: Uint8Array, isAck: boolean): Buffer {
  const out = framed(8, FrameType.PING, isAck ? Flag.ACK : 0, 0);
  out.set(data, FRAME_HEADER_SIZE);
  return out;
}

export function resetFrame(streamId: number, word: ErrorWord): Buffer {
  const out = framed(4, FrameType.RST_STREAM, 0, streamId);
  out.writeUInt32BE(ErrorCode[word], FRAME_HEADER_SIZE);
  return out;
}

/** @param streamId 0: the connection's window */
export function windowFrame(streamId: number, increment: number): Buffer {
  const out = framed(4, FrameType.WINDOW_UPDATE, 0, streamId);
  out.writeUInt32BE(increment, FRAME_HEADER_SIZE);
  return out;
}

/** The last stream id is 0: a server that may not push opens no streams. */
export function goawayFrame(word: ErrorWord): Buffer {
  const out = framed(8, FrameType.GOAWAY, 0, 0);
  out.writeUInt32BE(ErrorCode[word], FRAME_HEADER_SIZE + 4);
  return out;
}

/** A frame with an empty payload of this length. */
function framed(length: number, type: number, flags: number, streamId: number): Buffer {
  const out = Buffer.alloc(FRAME_HEADER_SIZE + length);
  writeFrameHeader(out, 0, length, type, flags, streamId);
  return out;
}
