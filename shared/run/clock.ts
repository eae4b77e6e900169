/** Time as a parameter: the only place where `Date.now` and `setTimeout` appear. */

/** A pending call that can be taken back. Cancelling twice, or after it ran, is harmless. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the machine's clock is set. */
  now(): number;
  /** Milliseconds of an arbitrary origin; never goes back. Measure durations with this one. */
  monotonic(): number;
  /** Calls `run` once, `ms` milliseconds from now (never synchronously). */
  after(ms: number, run: () => void): Timer;
}

/** Unix time in whole seconds. */
export const seconds = (clock: Clock): number => Math.floor(clock.now() / 1000);

/** Longest delay `setTimeout` takes; longer ones would fire at once. */
const MAX_DELAY = 0x7fff_ffff;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), MAX_DELAY));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Resolves `ms` milliseconds from now. */
export const sleep = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve));

/**
 * A clock that moves only when told to, for tests and simulators: hours pass in milliseconds.
 * `advance` runs due timers in order and lets promises settle between them.
 */
export class VirtualClock implements Clock {
  private time: number;
  private elapsed = 0;
  private nextId = 0;
  private timers: { at: number; id: number; run: () => void }[] = [];

  constructor(startMs = 1_800_000_000_000) {
    this.time = startMs;
  }

  now(): number {
    return this.time;
  }

  monotonic(): number {
    return this.elapsed;
  }

  /** Timers not yet run. */
  get pending(): number {
    return this.timers.length;
  }

  after(ms: number, run: () => void): Timer {
    const timer = { at: this.elapsed + Math.max(0, ms), id: this.nextId++, run };
    this.timers.push(timer);
    return { cancel: () => this.drop(timer) };
  }

  /** Sets the wall clock without letting time pass, as an operator or NTP would. */
  jump(ms: number): void {
    this.time += ms;
  }

  /** Time passes and nothing runs, as on a suspended machine; what became due runs with the next `advance`. */
  suspend(ms: number): void {
    this.pass(ms);
  }

  /** Lets `ms` milliseconds pass. */
  async advance(ms: number): Promise<void> {
    const end = this.elapsed + ms;
    await settle();
    for (let timer = this.due(end); timer; timer = this.due(end)) {
      this.pass(Math.max(0, timer.at - this.elapsed));
      this.drop(timer);
      timer.run();
      await settle();
    }
    this.pass(end - this.elapsed);
  }

  private due(end: number): { at: number; id: number; run: () => void } | undefined {
    let first: { at: number; id: number; run: () => void } | undefined;
    for (const t of this.timers) {
      if (t.at <= end && (!first || t.at < first.at || (t.at === first.at && t.id < first.id))) first = t;
    }
    return first;
  }

  private drop(timer: { id: number }): void {
    this.timers = this.timers.filter((t) => t.id !== timer.id);
  }

  private pass(ms: number): void {
    this.elapsed += ms;
    this.time += ms;
  }
}

/** Lets everything that is ready to run, run: promise callbacks and immediates. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
