/** Where the queues of one server stand: each row in exactly one list, threaded through the rows themselves. */
import { emptyList, FLAG, type QueueList, type QueueTable } from './queues.js';

/**
 * To be subscribed, asked for, confirmed, in error, given up, waiting for the first handshake of its server, or for
 * the answer to its service's NSUBS; confirmed, and to be asked for again; from `later` on waiting after 1, 2, 3 … temporary failures in a row.
 */
export const LIST = {
  todo: 0,
  flight: 1,
  active: 2,
  errors: 3,
  final: 4,
  parked: 5,
  service: 6,
  recheck: 7,
  later: 8,
} as const;
export const LATER_MS = [1_000, 4_000, 16_000, 60_000, 240_000, 600_000] as const;
/** How many lists there are. */
export const LISTS = LIST.later + LATER_MS.length;

export class RowLists {
  private readonly queues: QueueTable;
  private readonly lists: readonly QueueList[] = Array.from({ length: LISTS }, emptyList);

  constructor(queues: QueueTable) {
    this.queues = queues;
  }

  size(list: number): number {
    return this.lists[list]!.size;
  }

  /** The row that is longest in the list. */
  first(list: number): number | undefined {
    const { head } = this.lists[list]!;
    return head === 0 ? undefined : head - 1;
  }

  /** All rows of all lists, or of one. */
  *rows(only?: number): Iterable<number> {
    for (let list = only ?? 0; list < LISTS; list++) {
      let row = this.first(list);
      for (; row !== undefined; row = this.queues.next(row)) yield row;
      if (only !== undefined) return;
    }
  }

  /** A predecessor's row: what is over stays so, all else is to be subscribed. */
  restore(row: number, isAssociated: boolean): void {
    const { kind } = this.queues.status(row);
    const isFinal = kind === 'end' || kind === 'deleted' || kind === 'auth' || kind === 'service';
    this.put(row, isFinal ? LIST.final : isAssociated ? LIST.service : LIST.todo);
  }

  /** A row that is in no list. */
  put(row: number, list: number): void {
    this.queues.append(this.lists[list]!, list, row);
  }

  move(row: number, list: number): void {
    this.remove(row);
    this.put(row, list);
  }

  /** Takes the row out of its list. */
  remove(row: number): void {
    this.queues.unlink(this.lists[this.queues.listOf(row)]!, row);
  }

  /** Gives back the row of a forgotten entry. */
  release(row: number): void {
    this.remove(row);
    this.queues.free(row);
  }

  /** Releases a row that only waited for its answer. */
  releaseIfAbandoned(row: number): boolean {
    if (!this.queues.has(row, FLAG.abandoned)) return false;
    this.release(row);
    return true;
  }
}
