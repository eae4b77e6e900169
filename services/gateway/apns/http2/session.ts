/**
 * HTTP/2 as a client of APNs speaks it (RFC 9113), from bytes to answers and from pushes to bytes. Pure: the socket is
 * somebody else's. Nothing of a push is copied but into the bytes that `write` is given, so that whoever overwrites
 * those and the push has overwritten the device token.
 */
import { ACCEPTED, type Answer, type Exchange, UNPROCESSED } from '../connection.js';
import { errorBody, type ResponseHead } from './answer.js';
import { ControlFrames } from './control-frames.js';
import { checkSize, type Frame, FrameReader, uint31, unpad } from './frame-reader.js';
import { pingFrame, resetFrame, SETTINGS_ACK, settingsFrame, windowFrame } from './frame-writer.js';
import { Pings } from './pings.js';
import {
  ErrorCode,
  type ErrorWord,
  Flag,
  FrameType,
  Http2Error,
  INITIAL_WINDOW,
  MAX_FRAME_SIZE,
  PREFACE,
  Setting,
} from './protocol.js';
import { RequestHeaders } from './request-headers.js';
import { Requests } from './requests.js';
import { MAX_HEADER_LIST, ResponseHeads } from './response-heads.js';
import { Stream } from './stream.js';

const SETTINGS = [
  [Setting.ENABLE_PUSH, 0],
  [Setting.MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST],
] as const;
/** Streams of accepted pushes that the peer may leave open even where nobody needs their places. */
const MAX_UNENDED = 256;

export interface SessionEvents {
  /** The peer's SETTINGS, each time. */
  settings(): void;
  /** The first GOAWAY; `reason` is Apple's text. */
  goaway(reason: string | undefined): void;
  /** There may be something to write. Called often. */
  wantsWrite(): void;
}

export class Session {
  private readonly events: SessionEvents;
  private readonly requests: Requests;
  private readonly control = new ControlFrames();
  private readonly reader = new FrameReader((frame) => this.frame(frame));
  private readonly heads = new ResponseHeads((...told) => this.responded(...told));
  private readonly pings = new Pings();
  private readonly streams = new Map<Exchange, Stream>();
  /** Accepted, but not ended by the peer: they take places that the pool believes free. */
  private readonly unended = new Set<Stream>();
  private isAwaitingEnds = false;
  /** Said to be accepted before they were written whole. */
  private readonly early = new Set<Stream>();
  private sawSettings = false;
  private sawGoaway = false;
  private isLeaving = false;
  /** Bytes of DATA since the connection's window was last opened. */
  private received = 0;

  /** @param authority host, and the port where it is not 443 */
  constructor(authority: string, events: SessionEvents) {
    this.events = events;
    this.requests = new Requests(new RequestHeaders(authority));
    this.control.add(Buffer.from(PREFACE));
    this.control.add(settingsFrame(SETTINGS));
  }

  /** Streams that the peer allows at present; 0 before its SETTINGS and once the session ends. */
  get maxStreams(): number {
    return this.isLeaving ? 0 : this.requests.allowed;
  }

  /** Takes no more requests, and has no more to do. */
  get isDone(): boolean {
    return this.isLeaving && this.requests.isEmpty;
  }

  /** False where it takes no request any more. */
  send(authorization: string, exchange: Exchange): boolean {
    if (this.isLeaving || this.requests.isSpent) return false;
    const stream = new Stream(authorization, exchange);
    this.streams.set(exchange, stream);
    this.requests.add(stream);
    this.events.wantsWrite();
    return true;
  }

  /** Its `answered` is not called. Throws `Http2Error` where the peer reads nothing. */
  cancel(exchange: Exchange): void {
    const stream = this.streams.get(exchange);
    if (stream === undefined) return;
    this.forget(stream);
    this.reset(stream, 'CANCEL');
    this.events.wantsWrite();
  }

  /** Throws `Http2Error` as `cancel` does. */
  ping(pong: () => void): void {
    const payload = this.pings.begin(pong);
    if (payload !== undefined) this.say(pingFrame(payload, false));
  }

  /** Takes no more requests. Those under way go on. */
  drain(): void {
    this.isLeaving = true;
    this.events.wantsWrite();
  }

  /**
   * Writes what there is room for, whole frames, and returns how many bytes that is. To be overwritten once sent.
   * Throws `Http2Error` as `cancel` does, and has written nothing then.
   */
  write(out: Buffer): number {
    this.awaitEnds();
    const end = this.requests.write(out, this.control.write(out, 0));
    for (const stream of this.early) if (stream.unsent === 0) this.accepted(stream);
    return end;
  }

  /** What the peer sent. Throws `Http2Error`, and is of no use afterwards. */
  read(chunk: Buffer): void {
    this.reader.read(chunk);
    this.events.wantsWrite();
  }

  /** The connection is gone: answers what is open. */
  end(): void {
    this.isLeaving = true;
    for (const stream of this.requests.takeAll()) {
      // Without its last byte nobody has acted on a request.
      const isUnprocessed = stream.id === 0 || stream.unsent > 0;
      this.answer(stream, isUnprocessed ? UNPROCESSED : stream.answer);
    }
  }

  private frame(frame: Frame): void {
    const { type, flags } = frame;
    const isFirst = type === FrameType.SETTINGS && (flags & Flag.ACK) === 0;
    if (!this.sawSettings && !isFirst) throw new Http2Error('PROTOCOL_ERROR');
    if (this.heads.isOpen && type !== FrameType.CONTINUATION) throw new Http2Error('PROTOCOL_ERROR');
    // Unknown types are ignored (RFC 9113 §4.1).
    this.handlers[type]?.(frame);
  }

  private readonly handlers: Readonly<Record<number, (frame: Frame) => void>> = {
    [FrameType.DATA]: (frame) => this.data(frame),
    [FrameType.HEADERS]: (frame) => this.heads.headers(frame),
    [FrameType.PRIORITY]: (frame) => checkSize(frame, 5),
    [FrameType.RST_STREAM]: (frame) => this.wasReset(frame),
    [FrameType.SETTINGS]: (frame) => this.settings(frame),
    [FrameType.PUSH_PROMISE]: () => {
      throw new Http2Error('PROTOCOL_ERROR'); // this side forbade it (RFC 9113 §8.4)
    },
    [FrameType.PING]: (frame) => this.pinged(frame),
    [FrameType.GOAWAY]: (frame) => this.goaway(frame),
    [FrameType.WINDOW_UPDATE]: (frame) => this.opened(frame),
    [FrameType.CONTINUATION]: (frame) => this.heads.continuation(frame),
  };

  private data(frame: Frame): void {
    this.count(frame.end - frame.start);
    const stream = this.requests.find(frame.streamId);
    unpad(frame);
    if (stream === undefined) return;
    const isEnd = (frame.flags & Flag.END_STREAM) !== 0;
    if (stream.head === undefined) this.spoil(stream, 'PROTOCOL_ERROR');
    else if (!stream.take(frame.bytes, frame.start, frame.end)) this.spoil(stream, 'CANCEL');
    else if (isEnd) this.ended(stream);
  }

  /** Opens the connection's window when it is half closed. A stream's own is never used up: see `Stream.take`. */
  private count(bytes: number): void {
    this.received += bytes;
    if (this.received < INITIAL_WINDOW / 2) return;
    this.say(windowFrame(0, this.received));
    this.received = 0;
  }

  /** An interim response, the response, or trailers (RFC 9113 §8.1). */
  private responded(streamId: number, head: ResponseHead, isEnd: boolean): void {
    const stream = this.requests.find(streamId);
    if (stream === undefined) return;
    const isInterim = stream.head === undefined && head.status >= 100 && head.status < 200;
    if (isInterim && !isEnd) return;
    const isRight = stream.head === undefined ? head.status >= 200 : isEnd;
    if (!isRight) {
      this.spoil(stream, 'PROTOCOL_ERROR');
      return;
    }
    stream.head ??= head;
    if (isEnd) this.ended(stream);
    else if (head.status === 200) this.accepted(stream);
  }

  /** The peer has said all. Of a request that it refuses it does not want the rest. */
  private ended(stream: Stream): void {
    stream.isEnded = true;
    if (stream.head?.status === 200) {
      this.accepted(stream);
    } else if (stream.unsent > 0) {
      this.spoil(stream, 'CANCEL');
    } else {
      this.close(stream);
      this.answer(stream, stream.answer);
    }
  }

  /** A 200 is an answer before its end, but not before the end of the request: what it accepts must reach it. */
  private accepted(stream: Stream): void {
    if (stream.unsent > 0) {
      this.early.add(stream);
      return;
    }
    this.early.delete(stream);
    if (stream.isEnded) this.close(stream);
    else this.unended.add(stream);
    this.answer(stream, ACCEPTED);
  }

  /**
   * Streams that the peer has answered and not ended are reset where their places are needed, but not before a round
   * trip has passed: ends may be on their way, and a peer that counts resets takes many for an attack.
   */
  private awaitEnds(): void {
    const { unended } = this;
    if (unended.size === 0 || this.isAwaitingEnds) return;
    if (!this.isLeaving && !this.requests.lacksPlaces && unended.size <= MAX_UNENDED) return;
    const late = [...unended];
    this.isAwaitingEnds = true;
    this.ping(() => {
      this.isAwaitingEnds = false;
      for (const stream of late) if (unended.has(stream)) this.reset(stream, 'CANCEL');
    });
  }

  /** Ends a stream from this side; its answer is what was understood. */
  private spoil(stream: Stream, word: ErrorWord): void {
    this.answer(stream, stream.answer);
    this.reset(stream, word);
  }

  private reset(stream: Stream, word: ErrorWord): void {
    this.close(stream);
    if (stream.id !== 0) this.say(resetFrame(stream.id, word));
  }

  private close(stream: Stream): void {
    this.requests.remove(stream);
    this.unended.delete(stream);
    this.early.delete(stream);
  }

  private wasReset(frame: Frame): void {
    checkSize(frame, 4);
    const stream = this.requests.find(frame.streamId);
    if (stream === undefined) return;
    this.close(stream);
    const isRefused = frame.bytes.readUInt32BE(frame.start) === ErrorCode.REFUSED_STREAM;
    this.answer(stream, isRefused ? UNPROCESSED : stream.answer);
  }

  private settings(frame: Frame): void {
    const { streamId, flags, bytes, start, end } = frame;
    if (streamId !== 0) throw new Http2Error('PROTOCOL_ERROR');
    if ((flags & Flag.ACK) !== 0) {
      checkSize(frame, 0);
      return;
    }
    if ((end - start) % 6 !== 0) throw new Http2Error('FRAME_SIZE_ERROR');
    if (!this.sawSettings) this.requests.allowed = Number.POSITIVE_INFINITY;
    for (let at = start; at < end; at += 6) this.setting(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    this.sawSettings = true;
    this.say(SETTINGS_ACK);
    if (!this.isLeaving) this.events.settings();
  }

  private setting(id: number, value: number): void {
    switch (id) {
      case Setting.HEADER_TABLE_SIZE:
        this.requests.headers.setTableSize(value);
        break;
      case Setting.ENABLE_PUSH:
        if (value !== 0) throw new Http2Error('PROTOCOL_ERROR');
        break;
      case Setting.MAX_CONCURRENT_STREAMS:
        this.requests.allowed = value;
        break;
      case Setting.INITIAL_WINDOW_SIZE:
        this.requests.setInitialWindow(value);
        break;
      case Setting.MAX_FRAME_SIZE:
        if (value < MAX_FRAME_SIZE || value >= 1 << 24) throw new Http2Error('PROTOCOL_ERROR');
        break;
      default: // limits that no push comes near, and unknown ones (RFC 9113 §6.5.2)
    }
  }

  private pinged(frame: Frame): void {
    checkSize(frame, 8);
    if (frame.streamId !== 0) throw new Http2Error('PROTOCOL_ERROR');
    const payload = frame.bytes.subarray(frame.start, frame.end);
    if ((frame.flags & Flag.ACK) !== 0) this.pings.end(payload);
    else this.say(pingFrame(payload, true));
  }

  /** Streams above its last id were not and will not be acted on (RFC 9113 §6.8). */
  private goaway({ streamId, bytes, start, end }: Frame): void {
    if (streamId !== 0) throw new Http2Error('PROTOCOL_ERROR');
    if (end - start < 8) throw new Http2Error('FRAME_SIZE_ERROR');
    const lastId = uint31(bytes, start);
    const isFirst = !this.sawGoaway;
    const untouched = this.requests.takeAbove(lastId);
    this.sawGoaway = true;
    this.drain();
    // Later frames of the same shutdown carry no data.
    if (isFirst) this.events.goaway(errorBody(bytes.subarray(start + 8, end)).reason);
    for (const stream of untouched) this.answer(stream, UNPROCESSED);
  }

  private opened(frame: Frame): void {
    checkSize(frame, 4);
    const increment = uint31(frame.bytes, frame.start);
    if (frame.streamId === 0) {
      if (increment === 0) throw new Http2Error('PROTOCOL_ERROR');
      this.requests.growConnection(increment);
    } else {
      const stream = this.requests.find(frame.streamId);
      if (stream === undefined) return;
      if (increment === 0) this.spoil(stream, 'PROTOCOL_ERROR');
      else if (!stream.grow(increment)) this.spoil(stream, 'FLOW_CONTROL_ERROR');
    }
  }

  private say(frame: Buffer): void {
    this.control.add(frame);
    this.events.wantsWrite();
  }

  /** Unless it was cancelled. */
  private answer(stream: Stream, answer: Answer): void {
    const { exchange } = stream;
    this.forget(stream);
    exchange?.answered(answer);
  }

  /** Nobody waits for it any more: from here on its push may be overwritten. */
  private forget(stream: Stream): void {
    if (stream.exchange !== undefined) this.streams.delete(stream.exchange);
    stream.exchange = undefined;
  }
}
