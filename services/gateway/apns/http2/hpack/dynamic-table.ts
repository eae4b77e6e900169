/** The dynamic table of HPACK (RFC 7541 §2.3.2, §4): what was sent last, newest first, bounded by its size. */
import { ENTRY_OVERHEAD, type Entry } from './entry.js';

export class DynamicTable {
  /** Entries there are; the newest has the index 1, the oldest this one. */
  length = 0;
  /** Entries there ever were: `inserted + 1 - serial` is the index of the entry added as number `serial`. */
  inserted = 0;
  maxSize: number;
  private size = 0;
  private readonly ring: (Entry | undefined)[];
  private readonly evicted: ((entry: Entry) => void) | undefined;

  /** `limit` bounds `maxSize` for ever; `evicted` hears of each entry that leaves. */
  constructor(limit: number, evicted?: (entry: Entry) => void) {
    this.maxSize = limit;
    this.ring = new Array(Math.max(1, Math.floor(limit / ENTRY_OVERHEAD))).fill(undefined);
    this.evicted = evicted;
  }

  get(index: number): Entry | undefined {
    if (index < 1 || index > this.length) return undefined;
    return this.ring[(this.inserted - index) % this.ring.length];
  }

  /** Evicts what must go and adds; an entry larger than the table only empties it (RFC 7541 §4.4). */
  add(entry: Entry): void {
    this.shrink(this.maxSize - entry.size);
    if (entry.size > this.maxSize) return;
    this.ring[this.inserted % this.ring.length] = entry;
    this.inserted++;
    this.length++;
    this.size += entry.size;
  }

  /** Sets the maximum size, which must not be above the limit, and evicts down to it. */
  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.shrink(maxSize);
  }

  private shrink(size: number): void {
    while (this.length > 0 && this.size > size) {
      const slot = (this.inserted - this.length) % this.ring.length;
      const oldest = this.ring[slot]!;
      this.ring[slot] = undefined;
      this.length--;
      this.size -= oldest.size;
      this.evicted?.(oldest);
    }
  }
}
