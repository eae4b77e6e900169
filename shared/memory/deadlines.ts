/**
 * Many deadlines on one timer: a binary heap of items that carry their own place in it. Thousands of devices wait
 * for something at the same time; a timer each would cost more than the devices themselves.
 */
import type { Clock, Timer } from '../run/clock.js';

/** What can wait in one queue of deadlines. The two fields belong to the queue; `place` is -1 outside of it. */
export interface Waiting {
  /** `Clock.monotonic` milliseconds. */
  dueAt: number;
  place: number;
}

export class Deadlines<T extends Waiting> {
  private readonly clock: Clock;
  private readonly run: (item: T) => void;
  private readonly heap: T[] = [];
  private timer: Timer | undefined;
  private timerAt = Number.POSITIVE_INFINITY;

  /** `run` gets each item once it is due and no longer in the queue; it may put it back. */
  constructor(clock: Clock, run: (item: T) => void) {
    this.clock = clock;
    this.run = run;
  }

  get size(): number {
    return this.heap.length;
  }

  /** The item that is due first. */
  first(): T | undefined {
    return this.heap[0];
  }

  /** Sets or moves the one deadline of `item`. */
  set(item: T, dueAt: number): void {
    if (item.place < 0) {
      item.place = this.heap.length;
      this.heap.push(item);
    }
    item.dueAt = dueAt;
    this.up(item);
    this.down(item);
    this.arm();
  }

  /** Takes `item` out; harmless where it does not wait. */
  delete(item: T): void {
    if (item.place < 0) return;
    const last = this.heap.pop()!;
    if (last !== item) {
      last.place = item.place;
      this.heap[last.place] = last;
      this.up(last);
      this.down(last);
    }
    item.place = -1;
  }

  /** Forgets all items and the timer. */
  clear(): void {
    for (const item of this.heap) item.place = -1;
    this.heap.length = 0;
    this.timer?.cancel();
    this.timer = undefined;
    this.timerAt = Number.POSITIVE_INFINITY;
  }

  /** A timer that is too early is left alone: it fires, finds nothing due and is set anew. */
  private arm(): void {
    const head = this.heap[0];
    if (head === undefined || head.dueAt >= this.timerAt) return;
    this.timer?.cancel();
    this.timerAt = head.dueAt;
    // Rounded up, or a timer that fires a fraction early would be set again for nothing.
    this.timer = this.clock.after(Math.ceil(Math.max(0, head.dueAt - this.clock.monotonic())), () =>
      this.fire(),
    );
  }

  private fire(): void {
    this.timer = undefined;
    this.timerAt = Number.POSITIVE_INFINITY;
    const now = this.clock.monotonic();
    // Bounded: an item that is put back as due at once must not hold the loop for ever.
    for (let left = this.heap.length; left > 0; left--) {
      const head = this.heap[0];
      if (head === undefined || head.dueAt > now) break;
      this.delete(head);
      this.run(head);
    }
    this.arm();
  }

  private up(item: T): void {
    while (item.place > 0) {
      const parent = this.heap[(item.place - 1) >> 1]!;
      if (parent.dueAt <= item.dueAt) return;
      this.swap(item, parent);
    }
  }

  private down(item: T): void {
    for (;;) {
      const left = this.heap[2 * item.place + 1];
      const right = this.heap[2 * item.place + 2];
      const child = right !== undefined && right.dueAt < left!.dueAt ? right : left;
      if (child === undefined || child.dueAt >= item.dueAt) return;
      this.swap(item, child);
    }
  }

  private swap(a: T, b: T): void {
    [a.place, b.place] = [b.place, a.place];
    this.heap[a.place] = a;
    this.heap[b.place] = b;
  }
}
