/**
 * Between the messaging servers and the registry. While the registry is copied, what servers say is kept here, of each
 * queue the newest, which is all that a mailbox would keep; then it goes on to the registry, or to the successor as
 * everything after it. Bounded by the number of queues, and signals in bytes: beyond that a queue is only flagged.
 */
import type { FollowStatus, SourceSink } from '../sources/source.js';

const MAX_SIGNAL_BYTES = 64 * 1024 * 1024;
/** A kept signal with its share of objects. */
const SIGNAL_BYTES = 400;

interface Kept {
  /** Statuses before and after the signal. */
  before?: FollowStatus;
  signal?: { readonly nonce: Uint8Array; readonly metadata: Uint8Array };
  after?: FollowStatus;
  isMissed?: boolean;
}

export class Journal implements SourceSink {
  private sink: SourceSink;
  private kept: Map<number, Kept> | undefined;
  private signals = 0;

  /** @param sink the registry */
  constructor(sink: SourceSink) {
    this.sink = sink;
  }

  /** Keeps everything from now on. */
  hold(): void {
    this.kept ??= new Map();
  }

  /** Tells what was kept, to another sink where one is given, and from now on all that comes. */
  release(sink: SourceSink = this.sink): void {
    const kept = this.kept ?? new Map<number, Kept>();
    this.sink = sink;
    this.kept = undefined;
    this.signals = 0;
    for (const [ref, { before, signal, after, isMissed }] of kept) {
      if (before) sink.status(ref, before);
      if (signal) sink.signal(ref, signal.nonce, signal.metadata);
      if (isMissed) sink.maybeMissed(ref);
      if (after) sink.status(ref, after);
    }
  }

  status(ref: number, status: FollowStatus): void {
    const kept = this.keptOf(ref);
    if (kept === undefined) this.sink.status(ref, status);
    else if (kept.signal || kept.isMissed) kept.after = status;
    else kept.before = status;
  }

  signal(ref: number, nonce: Uint8Array, metadata: Uint8Array): void {
    const kept = this.keptOf(ref);
    if (kept === undefined) {
      this.sink.signal(ref, nonce, metadata);
      return;
    }
    if (kept.after) kept.before = kept.after;
    delete kept.after;
    if (!kept.signal && ++this.signals * SIGNAL_BYTES > MAX_SIGNAL_BYTES) kept.isMissed = true;
    else kept.signal = { nonce: nonce.slice(), metadata: metadata.slice() };
  }

  maybeMissed(ref: number): void {
    const kept = this.keptOf(ref);
    if (kept === undefined) this.sink.maybeMissed(ref);
    else kept.isMissed = true;
  }

  private keptOf(ref: number): Kept | undefined {
    if (this.kept === undefined) return undefined;
    const known = this.kept.get(ref);
    if (known !== undefined) return known;
    const kept: Kept = {};
    this.kept.set(ref, kept);
    return kept;
  }
}
