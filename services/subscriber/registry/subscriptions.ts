/**
 * The table of subscriptions: a pooled row each, threaded into a list per device, found by queue. Knows who holds
 * which queue and in what status; neither calls the source nor decides whether a subscription may be made.
 */
import { IdIndex, NO_ROW } from '../../../shared/memory/id-index.js';
import { NumberedRows } from '../../../shared/memory/numbered-rows.js';
import { Slab } from '../../../shared/memory/slab.js';
import type { FollowStatus } from '../sources/source.js';
import type { DeviceRecord } from './device-record.js';
import { StatusWords } from './status-words.js';
import type { SubscriptionState } from './subscription-state.js';

/** The row: 28 bytes, and 6 in the index. */
const AT = {
  device: 0,
  handle: 4,
  next: 8,
  previous: 12,
  queue: 16,
  serial: 20,
  kind: 24,
  word: 25,
  state: 26,
};
const ROW_BYTES = 28;

/** Bits of `state`. */
const IN_USE = 1;
const HOLDS_QUEUE = 2;

export class Subscriptions {
  private readonly rows: Slab;
  /** By the keyed hash of the queue; registrations that wait for the same queue stand side by side. */
  private readonly queues = new IdIndex((row) => this.rows.u32(row, AT.queue));
  private readonly words = new StatusWords();
  private readonly restored: NumberedRows;
  /** The last that was given out. */
  serial = 0;
  /** The last that a predecessor gave out. */
  private restoredSerial = 0;
  /** Rows ever used. */
  private top = 0;

  constructor(maxSubscriptions: number) {
    this.rows = new Slab({ rowBytes: ROW_BYTES, maxRows: maxSubscriptions });
    this.restored = new NumberedRows(this.rows);
  }

  get size(): number {
    return this.rows.size;
  }

  /** A row at the head of the device's list, status `pending`; undefined when full. */
  add(device: DeviceRecord, queueHash: number): number | undefined {
    const row = this.rows.allocate();
    if (row === undefined) return undefined;
    this.serial = (this.serial + 1) >>> 0;
    this.fill(device, row, this.serial, queueHash);
    return row;
  }

  /** In ascending order of rows. */
  *states(): Iterable<SubscriptionState> {
    for (let row = 0; row < this.top; row++) {
      if (!this.has(row)) continue;
      const [serial, device, queueHash] = [this.serialOf(row), this.deviceSlot(row), this.queueHash(row)];
      yield { row, serial, device, queueHash, holdsQueue: this.holdsQueue(row), status: this.status(row) };
    }
  }

  /** Takes over a predecessor's row. Throws `RangeError` where there is no room for its number. */
  restore(device: DeviceRecord, { row, serial, queueHash, holdsQueue, status }: SubscriptionState): void {
    this.restored.take(row);
    this.fill(device, row, serial, queueHash);
    this.setHoldsQueue(row, holdsQueue);
    this.setStatus(row, status);
  }

  /** All were restored. */
  begin(): void {
    this.restored.end();
    this.restoredSerial = this.serial;
  }

  /** Whether this row is in use, and has been since it was restored. Serials wrap. */
  isRestored(row: number): boolean {
    return this.has(row) && ((this.serialOf(row) - this.restoredSerial) | 0) <= 0;
  }

  *restoredRows(): Iterable<number> {
    for (let row = 0; row < this.top; row++) if (this.isRestored(row)) yield row;
  }

  remove(device: DeviceRecord, row: number): void {
    this.queues.remove(row);
    this.unlink(device, row);
    this.rows.free(row);
  }

  /** Whether a number from outside names a row in use. */
  has(row: number): boolean {
    return row < this.top && (this.rows.u8(row, AT.state) & IN_USE) !== 0;
  }

  /** Rows whose queue has this hash, any device. */
  *withHash(queueHash: number): Generator<number> {
    for (let row = this.queues.first(queueHash); row !== NO_ROW; row = this.queues.next(row)) {
      if (this.rows.u32(row, AT.queue) === queueHash) yield row;
    }
  }

  /** A row of a device's list and those behind it, older ones, at most `max`. */
  *from(row: number, max: number): Generator<number> {
    for (let at = row, left = max; at !== NO_ROW && left > 0; left--) {
      yield at;
      at = this.rows.u32(at, AT.next) - 1;
    }
  }

  queueHash(row: number): number {
    return this.rows.u32(row, AT.queue);
  }

  deviceSlot(row: number): number {
    return this.rows.u32(row, AT.device);
  }

  serialOf(row: number): number {
    return this.rows.u32(row, AT.serial);
  }

  /** The source's handle. */
  handle(row: number): number {
    return this.rows.u32(row, AT.handle);
  }

  setHandle(row: number, handle: number): void {
    this.rows.setU32(row, AT.handle, handle);
  }

  status(row: number): FollowStatus {
    return this.words.decode(this.rows.u8(row, AT.kind), this.rows.u8(row, AT.word));
  }

  setStatus(row: number, status: FollowStatus): void {
    const { kind, word } = this.words.encode(status);
    this.rows.setU8(row, AT.kind, kind);
    this.rows.setU8(row, AT.word, word);
  }

  /** Whether this row's NSUB succeeded first, so that the queue belongs to its device (design §4.1). */
  holdsQueue(row: number): boolean {
    return (this.rows.u8(row, AT.state) & HOLDS_QUEUE) !== 0;
  }

  setHoldsQueue(row: number, holds: boolean): void {
    this.rows.setU8(row, AT.state, holds ? IN_USE | HOLDS_QUEUE : IN_USE);
  }

  private fill(device: DeviceRecord, row: number, serial: number, queueHash: number): void {
    this.top = Math.max(this.top, row + 1);
    this.rows.setU32(row, AT.device, device.slot);
    this.rows.setU32(row, AT.queue, queueHash);
    this.rows.setU32(row, AT.serial, serial);
    this.rows.setU8(row, AT.state, IN_USE);
    this.link(device, row);
    this.queues.add(row);
  }

  private link(device: DeviceRecord, row: number): void {
    const next = device.firstSubscription;
    this.rows.setU32(row, AT.next, next + 1);
    if (next !== NO_ROW) this.rows.setU32(next, AT.previous, row + 1);
    device.firstSubscription = row;
    device.subscriptions++;
  }

  private unlink(device: DeviceRecord, row: number): void {
    const next = this.rows.u32(row, AT.next);
    const previous = this.rows.u32(row, AT.previous);
    if (next !== 0) this.rows.setU32(next - 1, AT.previous, previous);
    if (previous !== 0) this.rows.setU32(previous - 1, AT.next, next);
    else device.firstSubscription = next - 1;
    device.subscriptions--;
  }
}
