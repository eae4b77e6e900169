/**
 * What a server says of each of its queues: answers to NSUB, signals, END and DELD, and what becomes of the queue's
 * place and status. Connections are the follower's business.
 */
import type { FollowStatus, SourceSink } from '../source.js';
import type { Associations } from './associations.js';
import type { EarlySignals } from './early-signals.js';
import type { ListTimers } from './list-timers.js';
import type { SmpMetrics } from './metrics.js';
import { FLAG, type QueueTable } from './queues.js';
import { LATER_MS, LIST, type RowLists } from './row-lists.js';
import type { Answer } from './statuses.js';

const DAY_MS = 24 * 3_600_000;
/** Metadata is 144 bytes; longer than this is nothing that a server sends (design §3). */
const MAX_METADATA = 200;

export interface RowsShared {
  readonly queues: QueueTable;
  readonly sink: SourceSink;
  readonly metrics: SmpMetrics;
  readonly early: EarlySignals;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class Rows {
  private readonly server: number;
  private readonly shared: RowsShared;
  private readonly lists: RowLists;
  private readonly associations: Associations;
  private readonly timers: ListTimers;

  constructor(
    server: number,
    shared: RowsShared,
    lists: RowLists,
    associations: Associations,
    timers: ListTimers,
  ) {
    this.server = server;
    this.shared = shared;
    this.lists = lists;
    this.associations = associations;
    this.timers = timers;
  }

  /** What came of an NSUB; false = the server doesn't want our service, and the connection must end. */
  answered(row: number, answer: Answer): boolean {
    this.shared.metrics.smp_answers_total.inc({ outcome: answer.kind });
    if (this.lists.releaseIfAbandoned(row)) {
      this.shared.early.forget(row);
      return true;
    }
    if (this.shared.queues.status(row).kind === 'deleted') this.lists.move(row, LIST.final);
    else if (answer.kind === 'temporary') this.again(row);
    else if (answer.kind === 'subscribed') this.subscribed(row, answer.serviceId);
    else if (answer.kind === 'error') this.tomorrow(row, answer);
    else if (answer.kind === 'service' && this.associations.inService) return false;
    else this.refused(row, answer);
    return true;
  }

  /** The queue belongs to the first entry whose NSUB succeeded (design §4.1). */
  private subscribed(row: number, serviceId: Uint8Array | undefined): void {
    const { queues } = this.shared;
    const owner = queues.confirmed(this.server, queues.notifierId(row));
    if (owner !== undefined && owner !== row) {
      this.refused(row, { kind: 'auth' });
      return;
    }
    queues.set(row, FLAG.confirmed, true);
    this.associations.set(row, this.associations.isOurs(serviceId));
    this.activate(row);
    this.shared.early.take(row, this.server, queues.notifierId(row), ({ nonce, metadata }) =>
      this.signal(row, nonce, metadata),
    );
  }

  /** Subscribed. */
  activate(row: number): void {
    const { queues, sink } = this.shared;
    const missed = queues.has(row, FLAG.missed);
    queues.set(row, FLAG.missed, false);
    queues.setFailures(row, 0);
    this.lists.move(row, LIST.active);
    const ref = queues.ref(row);
    this.report(row, { kind: 'active' });
    if (missed) sink.maybeMissed(ref);
  }

  /** For good: until the client unfollows it. */
  private refused(row: number, status: FollowStatus): void {
    this.shared.early.forget(row);
    this.shared.queues.set(row, FLAG.confirmed, false);
    this.associations.set(row, false);
    this.lists.move(row, LIST.final);
    this.report(row, status);
  }

  notified(notifierId: Uint8Array, nonce: Uint8Array, metadata: Uint8Array): void {
    const { queues, metrics } = this.shared;
    const row = queues.confirmed(this.server, notifierId);
    if (metadata.length > MAX_METADATA) metrics.smp_dropped_signals_total.inc({ reason: 'size' });
    else if (row === undefined) this.notifiedEarly(notifierId, nonce, metadata);
    else this.signal(row, nonce, metadata);
  }

  private signal(row: number, nonce: Uint8Array, metadata: Uint8Array): void {
    const { queues, sink, metrics } = this.shared;
    metrics.smp_signals_total.inc();
    sink.signal(queues.ref(row), nonce, metadata);
  }

  /** Whichever entry the answer to our NSUB confirms is told; one that waits for none is told to look once it is active. */
  private notifiedEarly(notifierId: Uint8Array, nonce: Uint8Array, metadata: Uint8Array): void {
    const { queues, metrics, early } = this.shared;
    const signal = { server: this.server, notifierId, nonce, metadata };
    let isKept = false;
    for (const row of queues.entries(this.server, notifierId)) {
      const isAsked = queues.listOf(row) === LIST.flight;
      if (isAsked && early.keep(row, signal)) isKept = true;
      else queues.set(row, FLAG.missed, true);
    }
    if (!isKept) metrics.smp_dropped_signals_total.inc({ reason: 'unknown' });
  }

  ended(notifierId: Uint8Array): void {
    const row = this.shared.queues.confirmed(this.server, notifierId);
    // In flight it has been asked for again since: the answer to that decides.
    if (row === undefined || this.shared.queues.listOf(row) === LIST.flight) return;
    this.finish(row, 'end');
  }

  deleted(notifierId: Uint8Array): void {
    const row = this.shared.queues.confirmed(this.server, notifierId);
    if (row !== undefined) this.finish(row, 'deleted');
  }

  /** What the server told a predecessor; all else we find out ourselves. */
  mirror(row: number, status: FollowStatus): void {
    const { queues } = this.shared;
    if (status.kind === 'end' || status.kind === 'deleted') this.finish(row, status.kind);
    else if (status.kind === 'auth' || status.kind === 'service') this.refused(row, status);
    else if (
      status.kind === 'active' &&
      queues.confirmed(this.server, queues.notifierId(row)) === undefined
    ) {
      queues.set(row, FLAG.confirmed, true);
      this.report(row, status);
    }
  }

  /** Signals may have been lost at a predecessor: told once we are subscribed, for until then more may be. */
  mirrorMissed(row: number): void {
    const { queues, sink } = this.shared;
    if (queues.listOf(row) === LIST.active) sink.maybeMissed(queues.ref(row));
    else queues.set(row, FLAG.missed, true);
  }

  /** What a predecessor followed and we can't reach is no longer followed by anybody. */
  unreached(): void {
    for (const list of [LIST.todo, LIST.service]) {
      for (const row of this.lists.rows(list)) {
        if (this.shared.queues.status(row).kind === 'active') this.report(row, { kind: 'inactive' });
      }
    }
  }

  private finish(row: number, kind: 'end' | 'deleted'): void {
    const { queues, metrics } = this.shared;
    metrics.smp_events_total.inc({ kind });
    queues.set(row, FLAG.confirmed, false);
    this.associations.set(row, false);
    if (queues.listOf(row) !== LIST.flight) this.lists.move(row, LIST.final); // else when its answer comes
    this.report(row, { kind });
  }

  /** After a temporary failure: 1 s at first, 10 minutes at last. The status stays. */
  private again(row: number): void {
    const failures = this.shared.queues.failures(row);
    const step = Math.min(failures, LATER_MS.length - 1);
    this.shared.queues.setFailures(row, step + 1);
    this.lists.move(row, LIST.later + step);
    this.timers.plan(LIST.later + step, LATER_MS[step]! * (0.5 + this.shared.random() / 2));
  }

  /** After an error: on the next connection, or in a day. */
  private tomorrow(row: number, status: FollowStatus): void {
    this.lists.move(row, LIST.errors);
    this.timers.plan(LIST.errors, DAY_MS);
    this.report(row, status);
  }

  /** A status, unless it is the one that it has. */
  report(row: number, status: FollowStatus): void {
    const { queues, sink } = this.shared;
    if (queues.setStatus(row, status)) sink.status(queues.ref(row), status);
  }
}
