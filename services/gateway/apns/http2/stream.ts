/** One request on its connection: what of it is written, and what has come back. */
import { type Answer, type Exchange, UNKNOWN } from '../connection.js';
import { MAX_ERROR_BODY, type ResponseHead } from './answer.js';
import { MAX_WINDOW } from './protocol.js';

const NONE = Buffer.alloc(0);
/** Of a 200 nothing is read; a peer that sends as much as this with one is not listened to further. */
const MAX_IGNORED = 16_384;

export class Stream {
  /** 0 until its HEADERS are written. */
  id = 0;
  /** Until it was answered or cancelled; the push must not be looked at afterwards. */
  exchange: Exchange | undefined;
  readonly authorization: string;
  /** Bytes of the body that are written. */
  sent = 0;
  /** Bytes of the body that the peer will take (RFC 9113 §5.2). */
  window = 0;
  head: ResponseHead | undefined;
  /** The peer has ended its side. */
  isEnded = false;
  private body = NONE;
  private received = 0;

  constructor(authorization: string, exchange: Exchange) {
    this.authorization = authorization;
    this.exchange = exchange;
  }

  /** Bytes of the body that are not written; none once nobody waits for the answer. */
  get unsent(): number {
    return this.exchange === undefined ? 0 : this.exchange.push.body.length - this.sent;
  }

  /** WINDOW_UPDATE; false where the window would be larger than may be (RFC 9113 §6.9.1). */
  grow(increment: number): boolean {
    this.window += increment;
    return this.window <= MAX_WINDOW;
  }

  /** Takes a part of the response's body; false once it is more than anyone needs. */
  take(bytes: Buffer, start: number, end: number): boolean {
    this.received += end - start;
    if (this.head!.status === 200) return this.received <= MAX_IGNORED;
    if (this.received > MAX_ERROR_BODY) return false;
    this.body = Buffer.concat([this.body, bytes.subarray(start, end)]);
    return true;
  }

  /** What the response says so far. */
  get answer(): Answer {
    return this.head === undefined ? UNKNOWN : this.head.answer(this.body);
  }
}
