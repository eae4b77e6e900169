/**
 * One HTTP/2 connection to APNs as the pool sees it. The pool decides what goes where and what an answer means;
 * behind this interface there is only framing.
 */
import type { ApnsPush } from './engine.js';

/** What became of one request. */
export type Answer =
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly reason?: string | undefined;
      /** Apple's `timestamp`, milliseconds; only with 410. */
      readonly timestampMs?: number | undefined;
      readonly retryAfterSeconds?: number | undefined;
      /** The server's `Date`, milliseconds; where it gave one with an answer other than 200. */
      readonly dateMs?: number | undefined;
    }
  /** Certainly not processed: refused, or above the last stream id of a GOAWAY. Resending is safe. */
  | { readonly kind: 'unprocessed' }
  /** Written, and then the stream or the connection was lost. */
  | { readonly kind: 'unknown' };

export const ACCEPTED: Answer = { kind: 'response', status: 200 };
export const UNPROCESSED: Answer = { kind: 'unprocessed' };
export const UNKNOWN: Answer = { kind: 'unknown' };

/** One request under way. Called at most once, and never from inside `send`. */
export interface Exchange {
  readonly push: ApnsPush;
  answered(answer: Answer): void;
}

export interface ConnectionListener {
  /** The peer's SETTINGS: the first means that the connection is open, later ones change `maxStreams`. */
  settings(): void;
  /** GOAWAY: takes nothing more, streams under way may still be answered. `reason` is Apple's text. */
  goaway(reason: string | undefined): void;
  /** Once, after every exchange was answered. `code` is a word of Node's, OpenSSL's or HTTP/2's. */
  closed(code: string | undefined): void;
}

export interface Connection {
  /** Streams that the peer allows at present; 0 before its SETTINGS and after GOAWAY. */
  readonly maxStreams: number;
  /** Starts a request; false where the connection takes none any more (nothing was sent). */
  send(authorization: string, exchange: Exchange): boolean;
  /** Resets a request that took too long; its `answered` is not called. */
  cancel(exchange: Exchange): void;
  /** Calls `pong` when the peer answers; never where it does not. */
  ping(pong: () => void): void;
  /** Takes nothing more, closes when the last stream is done. */
  drain(): void;
  destroy(): void;
}

/** Starts connecting. Nothing is called before this returns. */
export type Dial = (listener: ConnectionListener) => Connection;
