/**
 * The rows of all mailboxes: one bounded pool, so that devices with nothing waiting cost nothing. Rows lie outside
 * the JavaScript heap and are overwritten when an entry goes. Each row can be chained to another.
 */
import { Slab } from '../../../shared/memory/slab.js';

const NONCE_SIZE = 24;
/** SMP metadata is 144 bytes; should it be longer it is left out, and the phone fetches the message without it. */
export const MAX_METADATA = 144;

/** Entries of one mailbox at most. */
export const MAX_ENTRIES = 14;

const AT = {
  next: 0,
  ref: 4,
  server: 8,
  time: 12,
  toldAt: 16,
  flags: 20,
  length: 21,
  nonce: 22,
  sequence: 46,
  metadata: 50,
};
const ROW_BYTES = AT.metadata + MAX_METADATA;
const IN_FLIGHT = 1;

/** End of a chain. */
export const NO_ENTRY = -1;

/** The latest signal of one queue. The arrays are views, valid until the entry changes. */
export interface Entry {
  readonly row: number;
  readonly ref: number;
  /** Unix seconds of its receipt. */
  readonly time: number;
  readonly nonce: Uint8Array;
  readonly metadata: Uint8Array;
  /** Number of the first push that carried it, 0 before. */
  readonly sequence: number;
}

export class MailboxPool {
  private readonly rows: Slab;

  constructor(maxEntries: number) {
    this.rows = new Slab({ rowBytes: ROW_BYTES, maxRows: maxEntries });
  }

  get size(): number {
    return this.rows.size;
  }

  /** An untold row; undefined when the pool is full. */
  allocate(ref: number, server: number): number | undefined {
    const row = this.rows.allocate();
    if (row === undefined) return undefined;
    this.rows.setU32(row, AT.ref, ref);
    this.rows.setU32(row, AT.server, server);
    return row;
  }

  free(row: number): void {
    this.rows.free(row);
  }

  /** Fills in a signal, which makes the entry untold and no longer the one that a push in flight carries. */
  fill(row: number, time: number, nonce: Uint8Array, metadata: Uint8Array): void {
    const length = metadata.length > MAX_METADATA ? 0 : metadata.length;
    this.rows.setU32(row, AT.time, time);
    this.rows.setU32(row, AT.toldAt, 0);
    this.rows.setU32(row, AT.sequence, 0);
    this.rows.setU8(row, AT.flags, 0);
    this.rows.setU8(row, AT.length, length);
    this.rows.bytes(row, AT.nonce, NONCE_SIZE).set(nonce);
    this.rows.bytes(row, AT.metadata, length).set(metadata.subarray(0, length));
  }

  entry(row: number): Entry {
    return {
      row,
      ref: this.ref(row),
      time: this.rows.u32(row, AT.time),
      nonce: this.rows.bytes(row, AT.nonce, NONCE_SIZE),
      metadata: this.rows.bytes(row, AT.metadata, this.rows.u8(row, AT.length)),
      sequence: this.rows.u32(row, AT.sequence),
    };
  }

  ref(row: number): number {
    return this.rows.u32(row, AT.ref);
  }

  server(row: number): number {
    return this.rows.u32(row, AT.server);
  }

  /** The next row of the chain, or `NO_ENTRY`. */
  next(row: number): number {
    return this.rows.u32(row, AT.next) - 1;
  }

  setNext(row: number, next: number): void {
    this.rows.setU32(row, AT.next, next + 1);
  }

  /** Monotonic second of the first accepted push that carried it; undefined while untold. */
  toldAt(row: number): number | undefined {
    const at = this.rows.u32(row, AT.toldAt);
    return at === 0 ? undefined : at - 1;
  }

  setToldAt(row: number, second: number): void {
    this.rows.setU32(row, AT.toldAt, second + 1);
  }

  /** A push of this number carries it; only the first counts. */
  setSequence(row: number, sequence: number): void {
    if (this.rows.u32(row, AT.sequence) === 0) this.rows.setU32(row, AT.sequence, sequence);
  }

  isInFlight(row: number): boolean {
    return (this.rows.u8(row, AT.flags) & IN_FLIGHT) !== 0;
  }

  setInFlight(row: number, inFlight: boolean): void {
    this.rows.setU8(row, AT.flags, inFlight ? IN_FLIGHT : 0);
  }
}
