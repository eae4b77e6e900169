/**
 * Real time that can be told to leap: what waits for hours runs at once, as after a machine was suspended, and
 * sockets go on in between. One clock for everybody in a test, or their signatures would be out of date.
 */
import { type Clock, systemClock, type Timer } from '../../../shared/run/clock.js';

interface Pending {
  readonly dueAt: number;
  timer: Timer;
}

export class LeapClock implements Clock {
  private sum = 0;
  private readonly waiting = new Map<Pending, () => void>();
  private readonly listeners: ((ms: number) => void)[] = [];

  /** Milliseconds, all leaps together. */
  get leapt(): number {
    return this.sum;
  }

  /** Timers not yet run. */
  get pending(): number {
    return this.waiting.size;
  }

  /** Tells other processes, which must leap as well. */
  onLeap(listener: (ms: number) => void): void {
    this.listeners.push(listener);
  }

  now(): number {
    return systemClock.now() + this.sum;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.sum;
  }

  after(ms: number, run: () => void): Timer {
    const fire = (): void => {
      this.waiting.delete(entry);
      run();
    };
    const entry: Pending = { dueAt: this.monotonic() + ms, timer: systemClock.after(ms, fire) };
    this.waiting.set(entry, fire);
    return {
      cancel: () => {
        entry.timer.cancel();
        this.waiting.delete(entry);
      },
    };
  }

  /** It is `ms` milliseconds later from now on; what became due runs in the next turns of the event loop. */
  leap(ms: number): void {
    this.sum += ms;
    for (const listener of this.listeners) listener(ms);
    for (const [entry, fire] of this.waiting) {
      entry.timer.cancel();
      entry.timer = systemClock.after(entry.dueAt - this.monotonic(), fire);
    }
  }
}
