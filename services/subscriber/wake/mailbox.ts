/**
 * One device's mailbox (design §5): the latest signal of each queue, at most 14, in the order of receipt, each
 * told or untold. Told means that a push with it was accepted. The oldest untold are always told first, so the told
 * ones are a prefix of the list. Never sends anything and knows no time but what it is given.
 */
import { type Entry, MAX_ENTRIES, type MailboxPool, NO_ENTRY } from './mailbox-pool.js';
import type { EntryState, MailboxState } from './mailbox-state.js';

export { MAX_ENTRIES };
/** A told entry is repeated as filler this long after its first accepted push. */
export const TOLD_LIFE_SECONDS = 3600;

/** What came of a signal; `lost` ones set the overflow flag. */
export type Put = 'new' | 'replaced' | 'lost';

/** Consecutive entries for one push: `filler` told ones, then untold ones. */
export interface Window {
  readonly entries: readonly Entry[];
  readonly filler: number;
}

export class Mailbox {
  /** A signal was dropped before it was told: a check push must make up for it. */
  overflow = false;
  /** Signals may have been destroyed before they came here (design §3). */
  maybeMissed = false;
  private readonly pool: MailboxPool;
  private pushes = 0;
  /** What the push in flight tells, and the one that failed, in their sender's words; gone when anything new comes. */
  private sentContent: string | undefined;
  private failedContent: string | undefined;
  private head = NO_ENTRY;
  private count = 0;
  private told = 0;

  constructor(pool: MailboxPool) {
    this.pool = pool;
  }

  get size(): number {
    return this.count;
  }

  /** Entries that the phone knows nothing of yet. */
  get untold(): number {
    return this.count - this.told;
  }

  /** u32: pushes with new content handed over (design §5). */
  get sequence(): number {
    return this.pushes;
  }

  /** Untold entries that the push under way carries. */
  get untoldInFlight(): number {
    let count = 0;
    for (let row = this.rowAt(this.told); row !== NO_ENTRY; row = this.pool.next(row)) {
      if (this.pool.isInFlight(row)) count++;
    }
    return count;
  }

  get hasFlags(): boolean {
    return this.overflow || this.maybeMissed;
  }

  /** Signals may have been destroyed on their way here. */
  miss(): void {
    this.maybeMissed = true;
    this.changed();
  }

  /** Keeps a signal as its queue's latest; makes room by the rule of design §5 where there is none. */
  put(ref: number, server: number, time: number, nonce: Uint8Array, metadata: Uint8Array): Put {
    this.changed();
    const known = this.find(ref);
    if (known === undefined && this.count === MAX_ENTRIES) this.evict(server);
    const row = known === undefined ? this.pool.allocate(ref, server) : this.unlink(known);
    if (row === undefined) {
      this.overflow = true;
      return 'lost';
    }
    this.pool.fill(row, time, nonce, metadata);
    this.append(row);
    return known === undefined ? 'new' : 'replaced';
  }

  /** The oldest untold entries, at most `maxUntold`, behind as many of the newest told ones as `max` leaves room for. */
  window(max: number, maxUntold = max): Window {
    const untold = Math.min(maxUntold, this.untold);
    const filler = Math.min(max - untold, this.told);
    const entries: Entry[] = [];
    for (
      let row = this.rowAt(this.told - filler);
      entries.length < filler + untold;
      row = this.pool.next(row)
    ) {
      entries.push(this.pool.entry(row));
    }
    return { entries, filler };
  }

  /** Servers of the untold entries, or of those among them that the push in flight carries; each once. */
  untoldServers(inFlight = false): number[] {
    const servers: number[] = [];
    for (let row = this.rowAt(this.told); row !== NO_ENTRY; row = this.pool.next(row)) {
      const server = this.pool.server(row);
      if ((!inFlight || this.pool.isInFlight(row)) && !servers.includes(server)) servers.push(server);
    }
    return servers;
  }

  /** The queue of the oldest untold entry. */
  get oldestUntold(): number | undefined {
    const row = this.rowAt(this.told);
    return row === NO_ENTRY ? undefined : this.pool.ref(row);
  }

  /**
   * A push with these entries is on its way. Its number is that of the last one where that failed, said the same and
   * nothing has come since: then the phone may take the two for one.
   * @param content what the push tells beside its entries
   */
  sent(entries: readonly Entry[], content = ''): void {
    // 0 is no number, so that an entry without one can be told.
    if (this.failedContent !== content) this.pushes = (this.pushes + 1) >>> 0 || 1;
    this.failedContent = undefined;
    this.sentContent = content;
    for (const { row } of entries) {
      this.pool.setInFlight(row, true);
      this.pool.setSequence(row, this.pushes);
    }
  }

  /** It was accepted: what it carried, and has not been replaced since, is told. */
  accepted(monotonicSecond: number): void {
    for (let row = this.head; row !== NO_ENTRY; row = this.pool.next(row)) {
      if (!this.pool.isInFlight(row)) continue;
      this.pool.setInFlight(row, false);
      if (this.pool.toldAt(row) !== undefined) continue;
      this.pool.setToldAt(row, monotonicSecond);
      this.told++;
    }
  }

  /** It was not: nothing is told. */
  failed(): void {
    this.failedContent = this.sentContent;
    for (let row = this.head; row !== NO_ENTRY; row = this.pool.next(row)) this.pool.setInFlight(row, false);
  }

  /** Drops the oldest untold entry, which can't be sent; the overflow flag makes up for it. */
  dropUnsendable(): void {
    const row = this.rowAt(this.told);
    if (row === NO_ENTRY) return;
    this.overflow = true;
    this.changed();
    this.pool.free(this.unlink(row));
  }

  /** The queue is no longer the device's. */
  dropQueue(ref: number): void {
    const row = this.find(ref);
    if (row === undefined) return;
    this.changed();
    this.pool.free(this.unlink(row));
  }

  /** Drops told entries whose hour is over; the monotonic second at which the next one's is, if there is one. */
  age(monotonicSecond: number): number | undefined {
    while (this.told > 0) {
      const until = this.pool.toldAt(this.head)! + TOLD_LIFE_SECONDS;
      if (until > monotonicSecond) return until;
      this.pool.free(this.unlink(this.head));
    }
    return undefined;
  }

  /** Overwrites all entries. */
  clear(): void {
    while (this.head !== NO_ENTRY) this.pool.free(this.unlink(this.head));
  }

  /** All of it, for a successor. Arrays are views. */
  get state(): MailboxState {
    const { overflow, maybeMissed, sequence, sentContent, failedContent, pool } = this;
    const entries = this.rows().map((row): EntryState => {
      const { ref, time, nonce, metadata, sequence } = pool.entry(row);
      const [server, toldAt, isInFlight] = [pool.server(row), pool.toldAt(row), pool.isInFlight(row)];
      return { ref, server, time, toldAt, isInFlight, sequence, nonce, metadata };
    });
    return { overflow, maybeMissed, sequence, sentContent, failedContent, entries };
  }

  /** Takes over what a predecessor held; this one is empty. What finds no room sets the overflow flag. */
  restore(state: MailboxState): void {
    this.pushes = state.sequence;
    this.overflow = state.overflow;
    this.maybeMissed = state.maybeMissed;
    this.sentContent = state.sentContent;
    this.failedContent = state.failedContent;
    for (const { ref, server, time, toldAt, isInFlight, sequence, nonce, metadata } of state.entries) {
      const row = this.pool.allocate(ref, server);
      if (row === undefined) {
        this.overflow ||= toldAt === undefined;
        continue;
      }
      this.pool.fill(row, time, nonce, metadata);
      if (toldAt !== undefined) this.pool.setToldAt(row, toldAt);
      this.pool.setInFlight(row, isInFlight);
      this.pool.setSequence(row, sequence);
      this.append(row);
      if (toldAt !== undefined) this.told++;
    }
  }

  /** From the server that has most entries, the newcomer counted: the oldest told, else the oldest untold. */
  private evict(newcomer: number): void {
    const counts = new Map([[newcomer, 1]]);
    const rows = this.rows();
    for (const row of rows) {
      const server = this.pool.server(row);
      counts.set(server, (counts.get(server) ?? 0) + 1);
    }
    const most = Math.max(...counts.values());
    const victim = rows.find((row) => counts.get(this.pool.server(row)) === most)!;
    if (this.pool.toldAt(victim) === undefined) this.overflow = true;
    this.pool.free(this.unlink(victim));
  }

  /** A push from now on says something new. */
  private changed(): void {
    this.sentContent = undefined;
    this.failedContent = undefined;
  }

  private find(ref: number): number | undefined {
    for (let row = this.head; row !== NO_ENTRY; row = this.pool.next(row)) {
      if (this.pool.ref(row) === ref) return row;
    }
    return undefined;
  }

  private rows(): number[] {
    const rows: number[] = [];
    for (let row = this.head; row !== NO_ENTRY; row = this.pool.next(row)) rows.push(row);
    return rows;
  }

  /** The row at a place, `NO_ENTRY` behind the last. Told ones are a prefix: at `told` the untold begin. */
  private rowAt(place: number): number {
    let row = this.head;
    for (let left = place; left > 0; left--) row = this.pool.next(row);
    return row;
  }

  private append(row: number): void {
    if (this.count === 0) this.head = row;
    else this.pool.setNext(this.rowAt(this.count - 1), row);
    this.pool.setNext(row, NO_ENTRY);
    this.count++;
  }

  private unlink(row: number): number {
    let before = NO_ENTRY;
    for (let at = this.head; at !== row; at = this.pool.next(at)) before = at;
    if (before === NO_ENTRY) this.head = this.pool.next(row);
    else this.pool.setNext(before, this.pool.next(row));
    this.count--;
    if (this.pool.toldAt(row) !== undefined) this.told--;
    return row;
  }
}
