/**
 * Follows all queues of one server: subscribes what is not subscribed, and brings every live subscription back
 * after a loss without anybody's action. Decides lists and statuses; `Session` speaks, `Dialler` connects.
 */
import type { Timer } from '../../../../shared/run/clock.js';
import type { FollowStatus, SourceSink } from '../source.js';
import { Associations, type AssociationsShared, type ServiceContents } from './associations.js';
import type { Link } from './connector.js';
import { Dialler, type DiallerShared } from './dialler.js';
import { Linger } from './linger.js';
import { FLAG, type QueueTable } from './queues.js';
import { LATER_MS, LIST, LISTS, RowLists } from './row-lists.js';
import { type Server, SHARED } from './servers.js';
import type { LossCause, Session, SessionEvents } from './session.js';
import type { Answer } from './statuses.js';
import type { Turns } from './turns.js';

const DAY_MS = 24 * 3_600_000;
/** Metadata is 144 bytes; longer than this is nothing that a server sends (design §3). */
const MAX_METADATA = 200;
/** Rows that move from list to list in one turn of the event loop. */
const ROWS_A_TURN = 2_048;

/** What all followers of a source share. */
export interface FollowerShared extends DiallerShared, AssociationsShared {
  readonly queues: QueueTable;
  readonly sink: SourceSink;
  readonly turns: Turns;
  readonly openSession: (link: Link, events: SessionEvents) => Session;
  /** A connection came up or went. */
  readonly linked: (up: boolean) => void;
  /** The follower has no queues left and has stopped. */
  readonly ended: (follower: Follower) => void;
}

export class Follower implements SessionEvents {
  readonly server: Server;
  private readonly shared: FollowerShared;
  private readonly dialler: Dialler;
  private readonly associations: Associations;
  private readonly lists: RowLists;
  /** For each list, when its rows go back to `todo`. */
  private readonly timers: (Timer | undefined)[] = [];
  /** Lists whose rows are going back to `todo`, a piece a turn. */
  private readonly returning = new Set<number>();
  private readonly linger: Linger;
  private session: Session | undefined;
  /** Whether NSUBS subscribed the queues in list `service`; else each is asked for by itself. */
  private covered = false;
  private size = 0;

  constructor(server: Server, shared: FollowerShared) {
    this.server = server;
    this.shared = shared;
    this.associations = new Associations(server, shared);
    this.lists = new RowLists(shared.queues);
    this.linger = new Linger(shared.clock);
    this.dialler = new Dialler(server, shared, {
      connected: (link) => this.onConnected(link),
      failed: (forbidden) => this.onFailed(forbidden),
    });
  }

  /** Whether it has been reached, or will be tried: one more queue brings in no server that nobody knew. */
  get keptUp(): boolean {
    const dialsNext = this.lists.size(LIST.todo) > 0; // in the next turn of the event loop
    return this.dialler.known || this.dialler.trying || this.returning.size > 0 || dialsNext;
  }

  /** Follows a new entry. Reports nothing before the next turn of the event loop. */
  add(row: number): void {
    this.size++;
    this.linger.cancel();
    this.lists.put(row, LIST.todo);
    this.shared.turns.request(this.subscribeNext);
  }

  /** Unfollows an entry; its key is overwritten at once. */
  remove(row: number): void {
    const { queues } = this.shared;
    this.associations.set(row, false);
    queues.forget(row);
    // An answer that is still to come must not reach another entry in the same row: it waits for that answer.
    if (this.session && queues.listOf(row) === LIST.flight) queues.set(row, FLAG.abandoned, true);
    else this.lists.release(row);
    this.size--;
    this.leaveIfIdle();
  }

  /** Gives up a connection that looks alive and brings no signals; its queues are asked for on the next one. */
  renew(): void {
    if (!this.session) return;
    this.session.close();
    this.closed('canary');
  }

  /** Closes the connection; nothing is reported afterwards, until something is followed again. */
  stop(): void {
    this.linger.cancel();
    for (const timer of this.timers.splice(0)) timer?.cancel();
    this.returning.clear();
    this.shared.turns.drop(this.subscribeNext);
    this.shared.turns.drop(this.returnNext);
    this.dialler.stop();
    this.session?.close();
    this.unlink();
    for (let n = this.lists.size(LIST.flight); n > 0; n--) {
      this.lists.releaseIfAbandoned(this.lists.first(LIST.flight)!);
    }
  }

  private onConnected(link: Link): void {
    this.session = this.shared.openSession(link, this);
    this.shared.linked(true);
    this.returning.add(LIST.parked);
    this.shared.turns.request(this.returnNext);
    this.beginService(link);
  }

  private onFailed(forbidden: boolean): void {
    // A server that authenticated before is no door that a client wants opened: its resolver may just be lying.
    if (this.dialler.known) return;
    this.park();
    if (!forbidden) return;
    this.dialler.stop();
    this.empty(LIST.parked, LIST.final, 'auth');
  }

  /** Nobody knows yet whether there is a server: its queues wait, and show no error (design §3). */
  private park(): void {
    this.empty(LIST.todo, LIST.parked, 'inactive');
  }

  private empty(from: number, to: number, kind: 'auth' | 'inactive'): void {
    for (let row = this.lists.first(from); row !== undefined; row = this.lists.first(from)) {
      this.lists.move(row, to);
      this.report(row, { kind });
    }
  }

  /** All losses count as unclean: a server that closes drops what it had queued, just as one that is cut off. */
  closed(cause: LossCause): void {
    this.shared.metrics.smp_disconnects_total.inc({ cause });
    this.unlink();
    for (const timer of this.timers.splice(0)) timer?.cancel();
    for (let list = 0; list < LISTS; list++) {
      if (list !== LIST.todo && list !== LIST.final) this.returning.add(list);
    }
    this.returning.delete(LIST.service); // they wait for the next connection
    this.shared.turns.request(this.returnNext);
  }

  private unlink(): void {
    if (this.session) this.shared.linked(false);
    this.session = undefined;
  }

  writable(): void {
    this.shared.turns.request(this.subscribeNext);
  }

  /** One block of NSUBs, as long as there is something to subscribe and room in the window. */
  private readonly subscribeNext = (): boolean => {
    if (this.returning.size > 0 || this.waitingFirst() === undefined) return false;
    if (!this.session) {
      this.dialler.start();
      if (this.dialler.waitsForStranger) this.park();
      return false;
    }
    if (!this.session.ready) return false;
    this.session.subscribe({
      next: () => this.waitingFirst(),
      sent: (row) => {
        this.lists.move(row, LIST.flight);
        if (this.shared.queues.isUnreported(row)) this.report(row, { kind: 'pending' });
      },
    });
    return true;
  };

  private waitingFirst(): number | undefined {
    return this.lists.first(LIST.todo) ?? this.lists.first(LIST.recheck);
  }

  /** Rows of `returning` lists back to `todo`, and then the next connection or block. */
  private readonly returnNext = (): boolean => {
    let left = ROWS_A_TURN;
    for (const list of this.returning) {
      for (let row = this.lists.first(list); row !== undefined; row = this.lists.first(list)) {
        if (left-- === 0) return true;
        this.return(row, list);
      }
      this.returning.delete(list);
      if (list === LIST.active && this.session) this.checkEach();
    }
    if (this.session) this.shared.turns.request(this.subscribeNext);
    else if (this.isWanted) this.dialler.lost();
    this.leaveIfIdle();
    return false;
  };

  private return(row: number, list: number): void {
    const { queues } = this.shared;
    if (this.lists.releaseIfAbandoned(row)) return;
    if (list === LIST.service && this.covered) {
      this.activate(row);
      return;
    }
    const status = queues.status(row).kind;
    this.lists.move(row, status === 'deleted' ? LIST.final : this.nextList(row, list));
    if (this.session || (status !== 'active' && list !== LIST.flight)) return;
    queues.set(row, FLAG.missed, true); // what was on its way died with the connection (design §3)
    if (status === 'active') this.report(row, { kind: 'inactive' });
  }

  /** While connected, only what is to be asked for again leaves `active`. */
  private nextList(row: number, list: number): number {
    if (this.session) return list === LIST.active ? LIST.recheck : LIST.todo;
    return this.shared.queues.has(row, FLAG.associated) ? LIST.service : LIST.todo;
  }

  /** One NSUBS for all that was associated on earlier connections; NSUBs where there is no such thing. */
  private beginService(link: Link): void {
    const { associations } = this;
    associations.connected(link);
    this.covered = false;
    if (associations.held && associations.expected.count > 0) {
      this.session?.subscribeService(associations.expected);
      return;
    }
    this.returning.add(LIST.service);
    this.checkTomorrow();
  }

  serviceAnswered(contents: ServiceContents | undefined): void {
    this.covered = !this.associations.mustAskEach(contents);
    if (this.covered) this.checkTomorrow();
    else this.checkEach();
    this.returning.add(LIST.service);
    this.shared.turns.request(this.returnNext);
  }

  /** A second process with this certificate: to take the service back would only make it do the same. */
  serviceEnded(): void {
    this.shared.metrics.smp_service_ended_total.inc();
    this.shared.log.warn('another process uses our service certificate');
    this.leaveService();
  }

  /** Goes on as an ordinary client for a day; its NSUBs end the associations. */
  private leaveService(): void {
    this.associations.leave();
    this.session?.close();
    this.closed('service');
  }

  private checkEach(): void {
    this.associations.checked();
    this.checkTomorrow();
  }

  /** Where the server tells no hash, all are asked for once a day. */
  private checkTomorrow(): void {
    const { needsDailyCheck, nextCheckMs } = this.associations;
    if (needsDailyCheck) this.returnAfter(LIST.active, nextCheckMs);
  }

  answered(row: number, answer: Answer): void {
    this.shared.metrics.smp_answers_total.inc({ outcome: answer.kind });
    if (this.lists.releaseIfAbandoned(row)) return;
    if (this.shared.queues.status(row).kind === 'deleted') this.lists.move(row, LIST.final);
    else if (answer.kind === 'temporary') this.again(row);
    else if (answer.kind === 'subscribed') this.subscribed(row, answer.serviceId);
    else if (answer.kind === 'error') this.tomorrow(row, answer);
    else if (answer.kind === 'service' && this.associations.inService) this.leaveService();
    else this.refused(row, answer);
    this.leaveIfIdle();
  }

  /** The queue belongs to the first entry whose NSUB succeeded (design §4.1). */
  private subscribed(row: number, serviceId: Uint8Array | undefined): void {
    const { queues } = this.shared;
    const owner = queues.confirmed(this.server.number, queues.notifierId(row));
    if (owner !== undefined && owner !== row) {
      this.refused(row, { kind: 'auth' });
      return;
    }
    queues.set(row, FLAG.confirmed, true);
    this.associations.set(row, this.associations.isOurs(serviceId));
    this.activate(row);
  }

  private activate(row: number): void {
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
    this.shared.queues.set(row, FLAG.confirmed, false);
    this.associations.set(row, false);
    this.lists.move(row, LIST.final);
    this.report(row, status);
  }

  notified(notifierId: Uint8Array, nonce: Uint8Array, metadata: Uint8Array): void {
    const { queues, sink, metrics } = this.shared;
    const row = queues.confirmed(this.server.number, notifierId);
    if (metadata.length > MAX_METADATA) metrics.smp_dropped_signals_total.inc({ reason: 'size' });
    else if (row === undefined) this.notifiedEarly(notifierId);
    else {
      metrics.smp_signals_total.inc();
      sink.signal(queues.ref(row), nonce, metadata);
    }
  }

  /** It may have overtaken the answer to our NSUB: whichever entry that confirms is told to look. */
  private notifiedEarly(notifierId: Uint8Array): void {
    const { queues, metrics } = this.shared;
    metrics.smp_dropped_signals_total.inc({ reason: 'unknown' });
    for (const row of queues.entries(this.server.number, notifierId)) queues.set(row, FLAG.missed, true);
  }

  ended(notifierId: Uint8Array): void {
    const row = this.shared.queues.confirmed(this.server.number, notifierId);
    // In flight it has been asked for again since: the answer to that decides.
    if (row === undefined || this.shared.queues.listOf(row) === LIST.flight) return;
    this.finish(row, 'end');
    this.leaveIfIdle();
  }

  deleted(notifierId: Uint8Array): void {
    const row = this.shared.queues.confirmed(this.server.number, notifierId);
    if (row !== undefined) this.finish(row, 'deleted');
    this.leaveIfIdle();
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
    this.returnAfter(LIST.later + step, LATER_MS[step]! * (0.5 + this.shared.random() / 2));
  }

  /** After an error: on the next connection, or in a day. */
  private tomorrow(row: number, status: FollowStatus): void {
    this.lists.move(row, LIST.errors);
    this.returnAfter(LIST.errors, DAY_MS);
    this.report(row, status);
  }

  private returnAfter(list: number, ms: number): void {
    this.timers[list] ??= this.shared.clock.after(ms, () => {
      this.timers[list] = undefined;
      this.returning.add(list);
      this.shared.turns.request(this.returnNext);
    });
  }

  private report(row: number, status: FollowStatus): void {
    const { queues, sink } = this.shared;
    if (queues.setStatus(row, status)) sink.status(queues.ref(row), status);
  }

  /** Whether a connection is of use to any queue: not to those that ended for good. */
  private get isWanted(): boolean {
    return this.size > this.lists.size(LIST.final);
  }

  /** No connection, and no attempt at one, that no queue needs; where no queue is left, the end. */
  private leaveIfIdle(): void {
    if (this.isWanted) return;
    const end = (): void => {
      this.stop();
      if (this.size === 0) this.shared.ended(this);
    };
    if (this.size > 0 || (this.dialler.known && this.server.unit === SHARED)) this.linger.begin(end);
    else end();
  }
}
