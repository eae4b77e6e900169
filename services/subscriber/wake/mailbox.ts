/**
 * One device's mailbox (design §5): the latest signal of each queue, at most 14, in the order of receipt, each
 * told or untold. Told means that a push with it was accepted. The oldest untold are always told first, so the told
 * ones are a prefix of the list. Never sends anything and knows no time but what it is given.
 */
import { type Entry, type MailboxPool, NO_ENTRY } from './mailbox-pool.js';

export const MAX_ENTRIES = 14;
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
  /** u32: pushes with new content handed over. */
  sequence = 0;
  private readonly pool: MailboxPool;
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

  get hasFlags(): boolean {
    return this.overflow || this.maybeMissed;
  }

  /** Keeps a signal as its queue's latest; makes room by the rule of design §5 where there is none. */
  put(ref: number, server: number, time: number, nonce: Uint8Array, metadata: Uint8Array): Put {
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

  /** The oldest untold entries, at most `max`, behind as many of the newest told ones as there is room for. */
  window(max: number): Window {
    const untold = Math.min(max, this.untold);
    const filler = Math.min(max - untold, this.told);
    const rows = [...this.rows()].slice(this.told - filler, this.told + untold);
    return { entries: rows.map((row) => this.pool.entry(row)), filler };
  }

  /** A push with these entries is on its way. */
  sent(entries: readonly Entry[]): void {
    for (const { row } of entries) this.pool.setInFlight(row, true);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  /** It was accepted: what it carried, and has not been replaced since, is told. */
  accepted(monotonicSecond: number): void {
    for (const row of this.rows()) {
      if (!this.pool.isInFlight(row)) continue;
      this.pool.setInFlight(row, false);
      if (this.pool.toldAt(row) !== undefined) continue;
      this.pool.setToldAt(row, monotonicSecond);
      this.told++;
    }
  }

  /** It was not: nothing is told. */
  failed(): void {
    for (const row of this.rows()) this.pool.setInFlight(row, false);
  }

  /** Drops the oldest untold entry, which can't be sent; the overflow flag makes up for it. */
  dropUnsendable(): void {
    const [row] = [...this.rows()].slice(this.told);
    if (row === undefined) return;
    this.overflow = true;
    this.pool.free(this.unlink(row));
  }

  /** The queue is no longer the device's. */
  dropQueue(ref: number): void {
    const row = this.find(ref);
    if (row !== undefined) this.pool.free(this.unlink(row));
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

  /** From the server that has most entries, the newcomer counted: the oldest told, else the oldest untold. */
  private evict(newcomer: number): void {
    const counts = new Map([[newcomer, 1]]);
    const rows = [...this.rows()];
    for (const row of rows) {
      const server = this.pool.server(row);
      counts.set(server, (counts.get(server) ?? 0) + 1);
    }
    const most = Math.max(...counts.values());
    const victim = rows.find((row) => counts.get(this.pool.server(row)) === most)!;
    if (this.pool.toldAt(victim) === undefined) this.overflow = true;
    this.pool.free(this.unlink(victim));
  }

  private find(ref: number): number | undefined {
    for (const row of this.rows()) if (this.pool.ref(row) === ref) return row;
    return undefined;
  }

  private *rows(): Generator<number> {
    for (let row = this.head; row !== NO_ENTRY; row = this.pool.next(row)) yield row;
  }

  private append(row: number): void {
    let last = NO_ENTRY;
    for (const at of this.rows()) last = at;
    if (last === NO_ENTRY) this.head = row;
    else this.pool.setNext(last, row);
    this.pool.setNext(row, NO_ENTRY);
    this.count++;
  }

  private unlink(row: number): number {
    let before = NO_ENTRY;
    for (const at of this.rows()) {
      if (at === row) break;
      before = at;
    }
    if (before === NO_ENTRY) this.head = this.pool.next(row);
    else this.pool.setNext(before, this.pool.next(row));
    this.count--;
    if (this.pool.toldAt(row) !== undefined) this.told--;
    return row;
  }
}
