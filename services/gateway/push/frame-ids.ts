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

interface Entry {
  readonly at: number;
  outcome: Outcome | undefined;
  waiters: OutcomeSink[];
}

export class FrameIds {
  private readonly capacity: number;
  private readonly entries = new Map<string, Entry>();

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.entries.size;
  }

  has(key: string): boolean {
    return this.entries.has(key);
  }

  /**
   * Registers who waits for a frame. True = it is new: the caller runs it and calls `finish`. Otherwise the sink
   * gets the outcome there is, or will be. `now`: monotonic ms.
   */
  begin(key: string, sink: OutcomeSink, now: number): boolean {
    const entry = this.entries.get(key);
    if (entry !== undefined && now - entry.at < KEPT_MS) {
      if (entry.outcome !== undefined) sink(entry.outcome);
      else if (entry.waiters.length < MAX_WAITERS) entry.waiters.push(sink);
      else sink(TOO_MANY);
      return false;
    }
    this.makeRoom(now);
    // Behind the others, so that the oldest are first.
    this.entries.delete(key);
    this.entries.set(key, { at: now, outcome: undefined, waiters: [sink] });
    return true;
  }

  /** The outcome of a frame that `begin` called new; tells all who wait. */
  finish(key: string, outcome: Outcome): void {
    const entry = this.entries.get(key);
    if (entry === undefined || entry.outcome !== undefined) return;
    const { waiters } = entry;
    entry.outcome = outcome;
    entry.waiters = [];
    for (const waiter of waiters) waiter(outcome);
  }

  /** Drops what is old, and the oldest finished ones while there are too many. */
  private makeRoom(now: number): void {
    let looked = 0;
    for (const [key, entry] of this.entries) {
      const old = now - entry.at >= KEPT_MS;
      if ((!old && this.entries.size < this.capacity) || ++looked > 64) return;
      if (entry.outcome !== undefined) this.entries.delete(key);
    }
  }
}
