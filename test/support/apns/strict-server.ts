/** A server that keeps RFC 9113 to the letter and sees to it that the session does too; it does what a test says. */
import assert from 'node:assert/strict';
import { ErrorCode, Flag, FrameType, Setting } from '../../../services/gateway/apns/http2/protocol.js';
import { frame, goaway, Peer, reset, settings, type Written, windowUpdate } from './http2-peer.js';

const { DATA, HEADERS, PING, RST_STREAM, SETTINGS } = FrameType;
const DEFAULT_WINDOW = 65_535;

export interface Limits {
  readonly streams: number;
  readonly window: number;
}

/** A request as the server has it. */
export interface Request {
  readonly id: number;
  readonly path: string;
  body: Buffer;
  window: number;
  /** Its last byte is here. */
  isWhole: boolean;
  /** The status that was said. */
  status: string | undefined;
  isEnded: boolean;
}

export class StrictServer {
  readonly peer: Peer;
  /** Open ones by id. */
  readonly open = new Map<number, Request>();
  /** All that were ever seen, by path; a push that is sent again has another path. */
  readonly seen = new Map<string, Request>();
  private limits: Limits = { streams: Number.POSITIVE_INFINITY, window: DEFAULT_WINDOW };
  /** Said, and not acknowledged. */
  private readonly pending: Limits[] = [];
  private readonly pings: Buffer[] = [];
  private window = DEFAULT_WINDOW;
  private lastId = 0;
  private goneAt = Number.POSITIVE_INFINITY;

  constructor(room: number) {
    this.peer = new Peer(room);
  }

  set(limits: Limits): void {
    this.pending.push(limits);
    this.peer.say(
      settings(
        [Setting.MAX_CONCURRENT_STREAMS, limits.streams],
        [Setting.INITIAL_WINDOW_SIZE, limits.window],
      ),
    );
  }

  /** Reads one write of the session and judges it; false where there was none. */
  hear(): boolean {
    const frames = this.peer.readOnce();
    for (const each of frames) this.judge(each);
    return frames.length > 0;
  }

  openWindow(request: Request | undefined, by: number): void {
    if (request === undefined) this.window += by;
    else request.window += by;
    this.peer.say(windowUpdate(request?.id ?? 0, by));
  }

  /** A head, and an end where it is one. */
  answer(request: Request, status: string, isEnd: boolean): void {
    request.status = status;
    const flags = Flag.END_HEADERS | (isEnd ? Flag.END_STREAM : 0);
    const head = this.peer.head(request.id, { ':status': status }, flags);
    if (isEnd) this.ended(request);
    this.peer.say(head);
  }

  end(request: Request): void {
    this.ended(request);
    this.peer.say(this.peer.data(request.id, ''));
  }

  /** Refuses a request, or loses it: who knows what was done with it. */
  reset(request: Request, code: number): void {
    if (code !== ErrorCode.REFUSED_STREAM) request.status = 'lost';
    this.open.delete(request.id);
    this.peer.say(reset(request.id, code));
  }

  /** Nothing above `lastId` is looked at any more, unless something was said to it. */
  leave(lastId: number): void {
    const said = [...this.seen.values()].filter(({ status }) => status !== undefined).map(({ id }) => id);
    this.goneAt = Math.max(Math.min(this.goneAt, lastId), ...said);
    for (const id of this.open.keys()) if (id > this.goneAt) this.open.delete(id);
    this.peer.say(goaway(this.goneAt, 0));
  }

  /** Whether it has done something about a request, or may do so. */
  mayAct({ id, isWhole, status }: Request): boolean {
    return isWhole && (status !== undefined || this.open.has(id));
  }

  pong(): void {
    for (const payload of this.pings.splice(0)) this.peer.say(frame(PING, Flag.ACK, 0, payload));
  }

  private ended(request: Request): void {
    request.isEnded = true;
    if (request.isWhole) this.open.delete(request.id);
  }

  private judge(written: Written): void {
    if (written.type === SETTINGS && (written.flags & Flag.ACK) !== 0) this.acknowledged();
    else if (written.type === PING) this.pings.push(written.payload);
    else if (written.type === HEADERS) this.begun(written);
    else if (written.type === DATA) this.data(written);
    else if (written.type === RST_STREAM) this.open.delete(written.streamId);
  }

  private acknowledged(): void {
    const next = this.pending.shift();
    assert.ok(next, 'an acknowledgement of nothing');
    for (const request of this.open.values()) request.window += next.window - this.limits.window;
    this.limits = next;
  }

  private begun(written: Written): void {
    const id = written.streamId;
    assert.ok(id % 2 === 1 && id > this.lastId, `stream ${id} after ${this.lastId}`);
    this.lastId = id;
    const path = this.peer.fields(written)[':path']!;
    if (id > this.goneAt) return;
    assert.ok(this.open.size < this.limits.streams, 'too many streams');
    const request = { id, path, body: Buffer.alloc(0), window: this.limits.window };
    const whole = { ...request, isWhole: false, status: undefined, isEnded: false };
    this.open.set(id, whole);
    this.seen.set(path, whole);
  }

  private data({ streamId, payload, flags }: Written): void {
    this.window -= payload.length;
    assert.ok(this.window >= 0, 'beyond the connection’s window');
    const request = this.open.get(streamId);
    if (request === undefined) return;
    request.window -= payload.length;
    assert.ok(request.window >= 0 || payload.length === 0, 'beyond the stream’s window');
    request.body = Buffer.concat([request.body, payload]);
    request.isWhole = (flags & Flag.END_STREAM) !== 0;
    if (request.isWhole && request.isEnded) this.open.delete(streamId);
  }
}
