/**
 * What messaging servers told the predecessor after its state was copied: statuses, signals and losses of
 * subscriptions, which have the same numbers in both processes.
 */
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError, Reader } from '../../../shared/encoding/reader.js';
import { Writer } from '../../../shared/encoding/writer.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { NONCE_SIZE } from '../../../shared/smp/constants.js';
import { readStatus, writeStatus } from '../registry/subscription-state.js';
import type { FollowStatus, SourceSink } from '../sources/source.js';
import type { Channel } from './channel.js';
import type { handOverMetrics } from './metrics.js';

const STATUS = 0;
const SIGNAL = 1;
const MISSED = 2;
/** Metadata over 200 bytes never comes so far (design §3). */
const MAX_METADATA = 255;
/** A successor that takes nothing: from here on its queues are only flagged, once it does. */
const MAX_BACKLOG = 64 * 1024 * 1024;
const PIECE_BYTES = 32 * 1024;

/** Tells everything to the successor, in its order; what comes in one turn of the event loop goes together. */
export class Forwarder implements SourceSink {
  private readonly channel: Channel;
  private readonly metrics: MetricHandles<typeof handOverMetrics>;
  private readonly flagged = new Set<number>();
  private writer = new Writer(PIECE_BYTES);
  private isPlanned = false;

  constructor(channel: Channel, metrics: MetricHandles<typeof handOverMetrics>) {
    this.channel = channel;
    this.metrics = metrics;
  }

  status(ref: number, status: FollowStatus): void {
    writeStatus(this.event(ref, STATUS), status);
    this.metrics.handover_forwarded_total.inc({ kind: 'status' });
  }

  signal(ref: number, nonce: Uint8Array, metadata: Uint8Array): void {
    if (this.channel.backlog > MAX_BACKLOG || metadata.length > MAX_METADATA) this.flagged.add(ref);
    else this.event(ref, SIGNAL).bytes(nonce).shortString(metadata);
    this.metrics.handover_forwarded_total.inc({ kind: 'signal' });
  }

  maybeMissed(ref: number): void {
    this.event(ref, MISSED);
    this.metrics.handover_forwarded_total.inc({ kind: 'missed' });
  }

  /** Sends what is left; nothing may come afterwards. */
  flush(): void {
    for (const ref of this.flagged) this.maybeMissed(ref);
    this.flagged.clear();
    this.post();
  }

  private event(ref: number, kind: number): Writer {
    if (this.writer.size >= PIECE_BYTES) this.post();
    if (!this.isPlanned) {
      this.isPlanned = true;
      queueMicrotask(() => this.post());
    }
    return this.writer.u32(ref).u8(kind);
  }

  private post(): void {
    this.isPlanned = false;
    if (this.writer.size === 0) return;
    this.channel.post('event', this.writer.view());
    this.writer = new Writer(PIECE_BYTES);
  }
}

/** Tells the events of a frame to `sink`, and overwrites it. Throws `DecodeError`. */
export function readEvents(body: Bytes, sink: SourceSink): void {
  const r = new Reader(body);
  try {
    while (r.remaining > 0) {
      const [ref, kind] = [r.u32(), r.u8()];
      if (kind === STATUS) sink.status(ref, readStatus(r));
      else if (kind === SIGNAL) sink.signal(ref, r.take(NONCE_SIZE), r.shortString());
      else if (kind === MISSED) sink.maybeMissed(ref);
      else throw new DecodeError('unknown event');
    }
  } finally {
    wipe(body);
  }
}
