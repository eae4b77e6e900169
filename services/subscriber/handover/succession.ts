/**
 * Both sides of the hand-over in one subscriber, for its composition root: what holds it still, how it takes over from
 * the one before, and how it makes way for the next.
 */
import type { Crypto, KeyPair } from '../../../shared/crypto/crypto.js';
import type { Clock } from '../../../shared/run/clock.js';
import { HandOverError } from '../../../shared/run/hand-over-error.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { NamedAddress } from './frames.js';
import { Gate, gatedClock, shiftedClock } from './gate.js';
import type { handOverMetrics } from './metrics.js';
import type { Parts } from './state.js';
import { type Succession, succeed } from './successor.js';

export interface ShiftOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly identity: KeyPair;
  readonly log: Log;
  /** Of the control socket. */
  readonly path: string;
  readonly takeOver: TakeOver;
}

/** From the subscriber that listens on the control socket: if one does, or in any case. */
export type TakeOver = boolean | 'must';

/** The configuration names another control socket than that of the one that started us, or it is gone. */
const NOBODY = 'nobody listens on control.socket of this configuration';

/** The change from one process to the next, as the later one sees it. */
export class Shift {
  /** Time, as the predecessor measured it. */
  readonly clock: Clock;
  /** The same, for what is held still. */
  readonly heldClock: Clock;
  readonly gate = new Gate();
  private readonly succession: Succession | undefined;
  private readonly startedAt: number;
  private isBegun = false;

  private constructor(clock: Clock, succession: Succession | undefined) {
    this.clock = succession === undefined ? clock : shiftedClock(clock, succession.shiftMs);
    this.heldClock = gatedClock(this.clock, this.gate);
    this.succession = succession;
    this.startedAt = this.clock.monotonic();
    if (succession !== undefined) this.gate.hold();
  }

  /** Rejects with `HandOverError` where a predecessor can't be succeeded: it serves on. */
  static async start(options: ShiftOptions): Promise<Shift> {
    const succession = options.takeOver ? await succeed(options) : undefined;
    if (succession === undefined && options.takeOver === 'must') throw new HandOverError(NOBODY);
    return new Shift(options.clock, succession);
  }

  /** What the predecessor listens on and can let go of. */
  get addresses(): readonly NamedAddress[] {
    return this.succession?.addresses ?? [];
  }

  get isTakingOver(): boolean {
    return this.succession !== undefined;
  }

  /** Settles when what was taken goes on; undefined once it does, or where nothing is taken. */
  readonly begun = (): Promise<void> | undefined => (this.isBegun ? undefined : this.gate.passed());

  /**
   * Takes everything from the predecessor, who has let go of its control socket, and of the listeners with these
   * names, when this resolves.
   */
  async take(parts: Parts, names: readonly string[]): Promise<void> {
    await this.succession?.receive(parts, names);
  }

  /** We listen. Resolves when we are the subscriber. */
  async commit(parts: Parts, metrics: MetricHandles<typeof handOverMetrics>): Promise<void> {
    metrics.handover_taken_over.set(this.isTakingOver ? 1 : 0);
    if (this.succession === undefined) return;
    await this.succession.commit(parts);
    metrics.handover_pause_seconds.set((this.clock.monotonic() - this.startedAt) / 1000);
  }

  /** We can't, or no longer: the predecessor serves on, or ends with us. */
  end(): void {
    this.succession?.end(this.isBegun ? 'stopped' : 'configuration');
  }

  /** What was taken goes on. */
  begin({ source, wake }: Parts): void {
    this.isBegun = true;
    if (!this.isTakingOver) return;
    this.gate.release();
    source.begin();
    wake.begin();
  }
}
