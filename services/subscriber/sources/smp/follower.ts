/**
 * Follows all queues of one server: subscribes what is not subscribed, and brings every live subscription back
 * after a loss without anybody's action. Decides lists and statuses; `Session` speaks, `Dialler` connects.
 */
import type { FollowStatus, SourceSink } from '../source.js';
import { Associations, type AssociationsShared, type ServiceContents } from './associations.js';
import type { Link } from './connector.js';
import { Dialler, type DiallerShared } from './dialler.js';
import { Drain } from './drain.js';
import { Linger } from './linger.js';
import { ListTimers } from './list-timers.js';
import { FLAG, type QueueTable } from './queues.js';
import { LIST, LISTS, RowLists } from './row-lists.js';
import { Rows, type RowsShared } from './rows.js';
import { type Server, SHARED } from './servers.js';
import type { LossCause, Session, SessionEvents } from './session.js';
import type { Answer } from './statuses.js';
import type { Turns } from './turns.js';

/** Rows that move from list to list in one turn of the event loop. */
const ROWS_A_TURN = 2_048;

/** What all followers of a source share. */
export interface FollowerShared extends DiallerShared, AssociationsShared, RowsShared {
  readonly queues: QueueTable;
  readonly sink: SourceSink;
  readonly turns: Turns;
  readonly openSession: (link: Link, events: SessionEvents) => Session;
  /** A connection came up or went. */
  readonly linked: (up: boolean) => void;
  /** Whether nothing new is subscribed or dialled: a successor is about to take over. */
  readonly isHeld: () => boolean;
  /** The follower has no queues left and has stopped. */
  readonly ended: (follower: Follower) => void;
}

export class Follower implements SessionEvents {
  readonly server: Server;
  private readonly shared: FollowerShared;
  private readonly dialler: Dialler;
  readonly associations: Associations;
  private readonly lists: RowLists;
  private readonly timers: ListTimers;
  private readonly rows: Rows;
  /** Lists whose rows are going back to `todo`, a piece a turn. */
  private readonly returning = new Set<number>();
  private readonly linger: Linger;
  private session: Session | undefined;
  /** The last of a connection whose queues a successor follows. */
  private draining: Drain | undefined;
  /** Whether NSUBS subscribed the queues in list `service`; else each is asked for by itself. */
  private covered = false;
  private size = 0;
  private isRestored = false;

  constructor(server: Server, shared: FollowerShared) {
    this.server = server;
    this.shared = shared;
    this.associations = new Associations(server, shared);
    this.lists = new RowLists(shared.queues);
    this.timers = new ListTimers(shared.clock, (list) => {
      this.returning.add(list);
      shared.turns.request(this.returnNext);
    });
    this.rows = new Rows(server.number, shared, this.lists, this.associations, this.timers);
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

  /** Follows a predecessor's entry once `begin` is called; until then nothing is reported. */
  restore(row: number, isAssociated: boolean): void {
    this.size++;
    this.isRestored = true;
    this.associations.set(row, isAssociated);
    this.lists.restore(row, isAssociated);
  }

  /** Subscribes what was restored, or goes on after a hold. */
  begin(): void {
    if (this.session) this.shared.turns.request(this.subscribeNext);
    else if (this.isWanted) this.dialler.start();
  }

  /** Begins no connection; one that is under way is given up. See `FollowerShared.isHeld`. */
  hold(): void {
    this.dialler.stop();
  }

  /** Whether no answer is awaited and all rows are where they belong. */
  get isSettled(): boolean {
    return this.session?.waits !== true && this.returning.size === 0;
  }

  /** Gives up a connection whose answers don't come. */
  lose(): void {
    this.session?.close();
    if (this.session) this.closed('silent');
  }

  /**
   * A successor subscribes from now on: hears the connection out, or says what was lost with it since the copy.
   * `done` is called once it is gone, or at once.
   */
  drain(sink: SourceSink, isHandedOver: (ref: number) => boolean, done: () => void): void {
    const { session, lists } = this;
    const { queues, linked } = this.shared;
    const rows = [...lists.rows()].filter((row) => isHandedOver(queues.ref(row)));
    for (const row of rows) if (this.hasMissed(row)) sink.maybeMissed(queues.ref(row));
    this.session = undefined;
    this.stop();
    const gone = (): void => {
      linked(false);
      done();
    };
    if (session) this.hearOut(session, sink, rows, gone);
    else done();
  }

  /** Whether signals may have been lost with a connection, be it one whose rows are still to go back. */
  private hasMissed(row: number): boolean {
    const { queues } = this.shared;
    const isReturning = !this.session && this.returning.has(queues.listOf(row));
    return queues.has(row, FLAG.missed) || (isReturning && queues.has(row, FLAG.confirmed));
  }

  private hearOut(session: Session, sink: SourceSink, rows: readonly number[], done: () => void): void {
    const { queues, clock } = this.shared;
    this.draining = new Drain({ server: this.server.number, session, queues, sink, clock, rows, done });
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
    this.timers.cancel();
    this.returning.clear();
    this.shared.turns.drop(this.subscribeNext);
    this.shared.turns.drop(this.returnNext);
    this.dialler.stop();
    this.session?.close();
    this.draining?.stop();
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
    if (this.dialler.known) {
      if (this.isRestored) this.rows.unreached();
      this.isRestored = false;
      return;
    }
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
      this.rows.report(row, { kind });
    }
  }

  /** All losses count as unclean: a server that closes drops what it had queued, just as one that is cut off. */
  closed(cause: LossCause): void {
    this.shared.metrics.smp_disconnects_total.inc({ cause });
    this.unlink();
    this.timers.cancel();
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
    if (this.returning.size > 0 || this.waitingFirst() === undefined || this.shared.isHeld()) return false;
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
        if (this.shared.queues.isUnreported(row)) this.rows.report(row, { kind: 'pending' });
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
    else if (this.isWanted && !this.shared.isHeld()) this.dialler.lost();
    this.leaveIfIdle();
    return false;
  };

  private return(row: number, list: number): void {
    const { queues } = this.shared;
    if (this.lists.releaseIfAbandoned(row)) return;
    if (list === LIST.service && this.covered) {
      this.rows.activate(row);
      return;
    }
    const status = queues.status(row).kind;
    this.lists.move(row, status === 'deleted' ? LIST.final : this.nextList(row, list));
    if (this.session || (status !== 'active' && list !== LIST.flight)) return;
    queues.set(row, FLAG.missed, true); // what was on its way died with the connection (design §3)
    if (status === 'active') this.rows.report(row, { kind: 'inactive' });
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
    if (needsDailyCheck) this.timers.plan(LIST.active, nextCheckMs);
  }

  answered(row: number, answer: Answer): void {
    if (!this.rows.answered(row, answer)) this.leaveService();
    this.leaveIfIdle();
  }

  notified(notifierId: Uint8Array, nonce: Uint8Array, metadata: Uint8Array): void {
    this.rows.notified(notifierId, nonce, metadata);
  }

  ended(notifierId: Uint8Array): void {
    this.rows.ended(notifierId);
    this.leaveIfIdle();
  }

  deleted(notifierId: Uint8Array): void {
    this.rows.deleted(notifierId);
    this.leaveIfIdle();
  }

  mirror(row: number, status: FollowStatus): void {
    this.rows.mirror(row, status);
    this.leaveIfIdle();
  }

  mirrorMissed(row: number): void {
    this.rows.mirrorMissed(row);
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
