/**
 * The last of a connection whose queues a successor takes over (design §5): hands on every signal until the server has
 * said END of each queue, or ENDS of the service, and then closes. Subscribes nothing: that would take the queues back.
 * What a connection may still have held when it ends otherwise is told as `maybeMissed`.
 */
import type { Clock, Timer } from '../../../../shared/run/clock.js';
import type { SourceSink } from '../source.js';
import { FLAG, type QueueTable } from './queues.js';
import type { Session, SessionEvents } from './session.js';

/** Without an END or a signal; real servers send END within 15 s. */
const QUIET_MS = 30_000;
/** In all. */
const LONGEST_MS = 10 * 60_000;

export interface DrainOptions {
  readonly server: number;
  readonly session: Session;
  readonly queues: QueueTable;
  readonly sink: SourceSink;
  readonly clock: Clock;
  /** Those of the server that the successor follows. */
  readonly rows: readonly number[];
  /** The connection is gone. Called once, not before the constructor has returned. */
  readonly done: () => void;
}

export class Drain implements SessionEvents {
  private readonly options: DrainOptions;
  private readonly latestMs: number;
  private left = 0;
  private timer: Timer | undefined;
  private isOver = false;

  constructor(options: DrainOptions) {
    this.options = options;
    this.latestMs = options.clock.monotonic() + LONGEST_MS;
    for (const row of options.rows) if (this.isOurs(row)) this.left++;
    options.session.redirect(this);
    this.progress();
  }

  notified(notifierId: Uint8Array, nonce: Uint8Array, metadata: Uint8Array): void {
    const { queues, sink, server } = this.options;
    const row = queues.confirmed(server, notifierId);
    if (row === undefined) return;
    sink.signal(queues.ref(row), nonce, metadata);
    this.progress();
  }

  ended(notifierId: Uint8Array): void {
    const row = this.options.queues.confirmed(this.options.server, notifierId);
    if (row !== undefined) this.end(row);
  }

  deleted(notifierId: Uint8Array): void {
    const { queues, sink, server } = this.options;
    const row = queues.confirmed(server, notifierId);
    if (row === undefined) return;
    sink.status(queues.ref(row), { kind: 'deleted' });
    this.end(row);
  }

  serviceEnded(): void {
    for (const row of this.options.rows) if (this.options.queues.has(row, FLAG.associated)) this.end(row);
  }

  /** Nothing was asked for since the hold. */
  answered(): void {}

  serviceAnswered(): void {}

  writable(): void {}

  /** Lost before its end. */
  closed(): void {
    const { queues, sink, rows } = this.options;
    for (const row of rows) if (this.isOurs(row)) sink.maybeMissed(queues.ref(row));
    this.finish();
  }

  /** Nobody wants to hear it any more. */
  stop(): void {
    this.finish();
  }

  private isOurs(row: number): boolean {
    const { queues } = this.options;
    return (
      queues.has(row, FLAG.confirmed) && !queues.has(row, FLAG.ended) && !queues.has(row, FLAG.abandoned)
    );
  }

  private end(row: number): void {
    if (!this.isOurs(row)) return;
    this.options.queues.set(row, FLAG.ended, true);
    this.left--;
    this.progress();
  }

  /** Something came: the wait begins anew; nothing is left to wait for: the end. */
  private progress(): void {
    const { clock } = this.options;
    this.timer?.cancel();
    const ms = this.left === 0 ? 0 : Math.min(QUIET_MS, this.latestMs - clock.monotonic());
    this.timer = clock.after(ms, () => (this.left === 0 ? this.finish() : this.closed()));
  }

  private finish(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.timer?.cancel();
    this.options.session.close();
    this.options.done();
  }
}
