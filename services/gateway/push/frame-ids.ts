/**
 * Frame ids (relay.md §6): each subscriber has its own name space. An id still running is waited for, a finished one
 * gets the same outcome again. Kept 10 minutes and bounded; a forgotten id can cost one repeated push.
 */
import type { Outcome } from '../../../shared/relay/batch.js';
import { later } from './outcomes.js';

const KEPT_MS = 600_000;
/** Requests that may wait for one running frame. */
const MAX_WAITERS = 8;
/** What more of them are told: each must end in an outcome, or its request would never end. */
const TOO_MANY = later('load', 60);

export type OutcomeSink = (outcome: Outcome) => void;

const NOBODY: readonly OutcomeSink[] = [];

/** A frame that came: who waits for its outcome, and then the outcome. */
export class KnownFrame {
  /** Monotonic ms. */
  readonly since: number;
  private ended: Outcome | undefined;
  private waiting: readonly OutcomeSink[];

  constructor(since: number, sink: OutcomeSink) {
    this.since = since;
    this.waiting = [sink];
  }

  get outcome(): Outcome | undefined {
    return this.ended;
  }

  /** Gives the outcome there is, or will be. */
  join(sink: OutcomeSink): void {
    if (this.ended !== undefined) sink(this.ended);
    else if (this.waiting.length < MAX_WAITERS) this.waiting = [...this.waiting, sink];
    else sink(TOO_MANY);
  }

  /** Tells all who wait, the first time. */
  finish(outcome: Outcome): void {
    if (this.ended !== undefined) return;
    const { waiting } = this;
    this.ended = outcome;
    this.waiting = NOBODY;
    for (const sink of waiting) sink(outcome);
  }
}

export class FrameIds {
  private readonly capacity: number;
  private readonly known = new Map<string, KnownFrame>();

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.known.size;
  }

  /** The frame of this id, unless it came too long ago. `now`: monotonic ms. */
  find(key: string, now: number): KnownFrame | undefined {
    const frame = this.known.get(key);
    if (frame === undefined || now - frame.since < KEPT_MS) return frame;
    this.known.delete(key);
    return undefined;
  }

  /** Remembers a frame that `find` did not know. */
  begin(key: string, sink: OutcomeSink, now: number): KnownFrame {
    this.makeRoom(now);
    const frame = new KnownFrame(now, sink);
    this.known.set(key, frame);
    return frame;
  }

  /** Drops what is old, and the oldest finished ones while there are too many. */
  private makeRoom(now: number): void {
    let looked = 0;
    for (const [key, { since, outcome }] of this.known) {
      const old = now - since >= KEPT_MS;
      if ((!old && this.known.size < this.capacity) || ++looked > 64) return;
      if (outcome !== undefined) this.known.delete(key);
    }
  }
}
