/**
 * Requests on their way out: which wait, which are open, and how much the peer's windows and stream limit let through
 * (RFC 9113 §5.1.2, §5.2). A push is looked at only while it is written: until then nothing of it was copied.
 */

import { writeFrameHeader } from './frame-writer.js';
import {
  Flag,
  FRAME_HEADER_SIZE,
  FrameType,
  Http2Error,
  INITIAL_WINDOW,
  MAX_STREAM_ID,
  MAX_WINDOW,
} from './protocol.js';
import type { RequestHeaders } from './request-headers.js';
import type { Stream } from './stream.js';

export class Requests {
  /** Streams that the peer allows. */
  allowed = 0;
  readonly headers: RequestHeaders;
  private readonly waiting = new Set<Stream>();
  private readonly open = new Map<number, Stream>();
  /** Open ones whose body is not written whole. */
  private readonly unfinished = new Set<Stream>();
  private nextId = 1;
  private window = INITIAL_WINDOW;
  private initialWindow = INITIAL_WINDOW;

  constructor(headers: RequestHeaders) {
    this.headers = headers;
  }

  get isEmpty(): boolean {
    return this.open.size === 0 && this.waiting.size === 0;
  }

  /** Requests wait, and the peer allows no more streams. */
  get lacksPlaces(): boolean {
    return this.waiting.size > 0 && this.open.size >= this.allowed;
  }

  /** No stream ids are left (RFC 9113 §5.1.1). */
  get isSpent(): boolean {
    return this.nextId + 2 * this.waiting.size > MAX_STREAM_ID;
  }

  add(stream: Stream): void {
    this.waiting.add(stream);
  }

  /** Of a stream that ended, was reset, or is not to be written any more. */
  remove(stream: Stream): void {
    this.waiting.delete(stream);
    this.open.delete(stream.id);
    this.unfinished.delete(stream);
  }

  /** Undefined for a stream that is closed. Throws where it was never opened (RFC 9113 §5.1). */
  find(streamId: number): Stream | undefined {
    if (streamId % 2 === 0 || streamId >= this.nextId) throw new Http2Error('PROTOCOL_ERROR');
    return this.open.get(streamId);
  }

  /** Takes those out of which the peer has seen nothing, or will do nothing: above `lastId`. */
  takeAbove(lastId: number): Stream[] {
    const taken = [...this.open.values()].filter(({ id }) => id > lastId).concat(...this.waiting);
    for (const stream of taken) this.remove(stream);
    return taken;
  }

  /** All that are open, and forgets them. */
  takeAll(): Stream[] {
    return this.takeAbove(0);
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE changes the windows of open streams too (RFC 9113 §6.9.2). */
  setInitialWindow(size: number): void {
    if (size > MAX_WINDOW) throw new Http2Error('FLOW_CONTROL_ERROR');
    const change = size - this.initialWindow;
    this.initialWindow = size;
    for (const stream of this.open.values()) {
      stream.window += change;
      if (stream.window > MAX_WINDOW) throw new Http2Error('FLOW_CONTROL_ERROR');
    }
  }

  growConnection(increment: number): void {
    this.window += increment;
    if (this.window > MAX_WINDOW) throw new Http2Error('FLOW_CONTROL_ERROR');
  }

  /** Writes whole frames of as many requests as there is room for; returns the offset behind them. */
  write(out: Buffer, start: number): number {
    let at = start;
    for (const stream of this.unfinished) {
      if (this.window <= 0) return at;
      at = this.writeBody(stream, out, at);
    }
    for (const stream of this.waiting) {
      if (!this.mayOpen(stream, out.length - at)) return at;
      at = this.begin(stream, out, at);
    }
    return at;
  }

  /** Nothing is opened while the connection's window is closed: what was not begun may be sent elsewhere. */
  private mayOpen(stream: Stream, room: number): boolean {
    if (this.open.size >= this.allowed || this.window <= 0) return false;
    const { push } = stream.exchange!;
    return (
      room >= this.headers.maxSize(push, stream.authorization) + 2 * FRAME_HEADER_SIZE + push.body.length
    );
  }

  private begin(stream: Stream, out: Buffer, start: number): number {
    this.waiting.delete(stream);
    stream.id = this.nextId;
    stream.window = this.initialWindow;
    this.nextId += 2;
    this.open.set(stream.id, stream);
    const at = start + FRAME_HEADER_SIZE;
    const end = this.headers.write(out, at, stream.exchange!.push, stream.authorization);
    writeFrameHeader(out, start, end - at, FrameType.HEADERS, Flag.END_HEADERS, stream.id);
    return this.writeBody(stream, out, end);
  }

  /** One DATA frame of what the windows and the room let through; bodies are smaller than any frame limit. */
  private writeBody(stream: Stream, out: Buffer, at: number): number {
    const { body } = stream.exchange!.push;
    const room = out.length - at - FRAME_HEADER_SIZE;
    const size = Math.min(stream.unsent, stream.window, this.window, room);
    if (size <= 0) {
      this.unfinished.add(stream);
      return at;
    }
    const isLast = size === stream.unsent;
    const start = writeFrameHeader(out, at, size, FrameType.DATA, isLast ? Flag.END_STREAM : 0, stream.id);
    out.set(size === body.length ? body : body.subarray(stream.sent, stream.sent + size), start);
    stream.sent += size;
    stream.window -= size;
    this.window -= size;
    if (isLast) this.unfinished.delete(stream);
    else this.unfinished.add(stream);
    return start + size;
  }
}
