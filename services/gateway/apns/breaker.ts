/**
 * A breaker: after an answer that says "your configuration is wrong", nothing is sent for a while; then one real
 * push probes, and its answer closes the breaker or opens it for twice as long. Pure but for the clock.
 */
import type { Clock } from '../../../shared/run/clock.js';

export interface BreakerOptions {
  readonly minMs: number;
  readonly maxMs: number;
  readonly clock: Clock;
}

export type Permission = 'pass' | 'probe' | 'stop';

export class Breaker {
  private readonly options: BreakerOptions;
  /** How often it opened since it was last closed; 0 = closed. */
  private openings = 0;
  private openedAt = 0;
  private probing = false;

  constructor(options: BreakerOptions) {
    this.options = options;
  }

  /** Whether nothing is wrong, as far as answers have shown. */
  get isClosed(): boolean {
    return this.openings === 0;
  }

  /** Whether it stops pushes now. Once its time is over, it no longer does: a push may be tried. */
  get isOpen(): boolean {
    return this.openings > 0 && this.options.clock.monotonic() - this.openedAt < this.openMs;
  }

  /** Whether a push may be sent; `probe` is given to one push, which must end in `trip`, `close` or `release`. */
  ask(): Permission {
    if (this.openings === 0) return 'pass';
    if (this.probing || this.isOpen) return 'stop';
    this.probing = true;
    return 'probe';
  }

  /** A configuration error. The many answers of one failure count once. True where this opened it. */
  trip(): boolean {
    if (this.isOpen) return false;
    this.openings++;
    this.openedAt = this.options.clock.monotonic();
    this.probing = false;
    return true;
  }

  /** An answer that shows the configuration to be right. */
  close(): void {
    this.openings = 0;
    this.probing = false;
  }

  /** The probe ended without an answer: another may be tried. */
  release(): void {
    this.probing = false;
  }

  /** What was wrong may be mended: a push may probe at once. */
  halfOpen(): void {
    this.openedAt = Number.NEGATIVE_INFINITY;
  }

  private get openMs(): number {
    const { minMs, maxMs } = this.options;
    return Math.min(maxMs, minMs * 2 ** Math.min(this.openings - 1, 20));
  }
}

/** The breakers of one pool: one for its key and one for each topic, which are the operator's and so few. */
export class Breakers {
  private readonly options: BreakerOptions;
  private readonly key: Breaker;
  private readonly topics = new Map<string, Breaker>();

  constructor(options: BreakerOptions) {
    this.options = options;
    this.key = new Breaker(options);
  }

  isOpen(topic: string): boolean {
    return this.key.isOpen || this.of(topic).isOpen;
  }

  get openCount(): number {
    return [this.key, ...this.topics.values()].filter((breaker) => breaker.isOpen).length;
  }

  /** As `Breaker.ask`, for both at once. */
  ask(topic: string): Permission {
    const key = this.key.ask();
    if (key === 'stop') return 'stop';
    const own = this.of(topic).ask();
    if (own === 'stop' && key === 'probe') this.key.release();
    return own === 'pass' ? key : own;
  }

  trip(scope: 'key' | 'topic', topic: string): boolean {
    return (scope === 'key' ? this.key : this.of(topic)).trip();
  }

  close(topic: string): void {
    this.key.close();
    this.of(topic).close();
  }

  /** As `Breaker.halfOpen`, for both. */
  halfOpen(topic: string): void {
    this.key.halfOpen();
    this.of(topic).halfOpen();
  }

  release(topic: string): void {
    this.key.release();
    this.of(topic).release();
  }

  private of(topic: string): Breaker {
    let breaker = this.topics.get(topic);
    if (breaker === undefined) {
      breaker = new Breaker(this.options);
      this.topics.set(topic, breaker);
    }
    return breaker;
  }
}
