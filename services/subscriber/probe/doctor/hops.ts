/** Hops of a self-test, one after another: each is timed and told as it ends, and the first that fails ends the way. */
import type { Clock } from '../../../../shared/run/clock.js';
import type { Finding } from '../../../../shared/run/doctor.js';

export type Say = (finding: Finding) => void;

/** What was seen, and what to do about it. */
export interface Trouble {
  readonly detail: string;
  readonly fix: string;
}

/** A hop that did not do what it should; its finding says so already. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** Thrown inside a hop: it failed, and this is what to say. */
export class HopTrouble extends Error {
  override readonly name = 'HopTrouble';
  readonly trouble: Trouble;

  constructor(detail: string, fix: string) {
    super(detail);
    this.trouble = { detail, fix };
  }
}

export interface HopsOptions {
  readonly clock: Clock;
  readonly say: Say;
  /** Aborted when nobody listens any more. */
  readonly gone: AbortSignal;
  /** From now until nothing is waited for any longer. */
  readonly limitMs: number;
}

export class Hops {
  readonly clock: Clock;
  readonly say: Say;
  private readonly gone: AbortSignal;
  private readonly endMs: number;

  constructor({ clock, say, gone, limitMs }: HopsOptions) {
    this.clock = clock;
    this.say = say;
    this.gone = gone;
    this.endMs = clock.monotonic() + limitMs;
  }

  /** As long as wished, but not beyond the end of the whole self-test. */
  atMost(ms: number): number {
    return Math.max(0, Math.min(ms, this.endMs - this.clock.monotonic()));
  }

  /**
   * Runs one hop and tells how it went. Throws `Stopped` where it failed.
   * @param seen what to say of a good one
   * @param explain what an error other than `HopTrouble` means
   */
  async hop<T>(
    name: string,
    seen: string | ((result: T) => string),
    run: () => Promise<T>,
    explain: (error: unknown) => Trouble = unexpected,
  ): Promise<T> {
    if (this.gone.aborted) throw new Stopped();
    const startedMs = this.clock.monotonic();
    const ms = (): number => this.clock.monotonic() - startedMs;
    try {
      const result = await run();
      this.say({ name, state: 'ok', detail: typeof seen === 'string' ? seen : seen(result), ms: ms() });
      return result;
    } catch (error) {
      const trouble = error instanceof HopTrouble ? error.trouble : explain(error);
      this.say({ name, state: 'failed', ...trouble, ms: ms() });
      throw new Stopped();
    }
  }
}

const unexpected = (): Trouble => ({ detail: 'failed', fix: 'see the log of the subscriber' });

/** What `work` gives, or undefined when that takes longer than `ms`. */
export function inTime<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => resolve(undefined));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
