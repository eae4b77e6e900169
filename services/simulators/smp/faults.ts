/** Things that go wrong on purpose, as data: a list that is worked off from the front, kind by kind. */
import type { Clock } from '../../../shared/run/clock.js';
import type { CommandWord } from '../../../shared/smp/commands.js';
import type { ErrorType } from '../../../shared/smp/errors.js';

/** `times`: how often it happens; once unless said otherwise. */
export type Fault =
  /** Connections are closed before TLS, from now on for a time. */
  | { readonly kind: 'refuse'; readonly forMs: number }
  /**
   * At a connection's block number `block` (0: the handshake's end): it is cut; it goes silent, neither reading nor
   * writing; it sends a block of random bytes instead of what belongs there.
   */
  | { readonly kind: 'drop' | 'stall' | 'garbage'; readonly block: number; readonly times?: number }
  /** A command is not run but answered with an error. */
  | {
      readonly kind: 'answer';
      readonly word: CommandWord;
      readonly error: ErrorType;
      readonly times?: number;
    }
  /** All that a connection sends for one of its blocks comes late. */
  | { readonly kind: 'delay'; readonly ms: number; readonly times?: number }
  /** With the next delivery, each notifier gets a notification of a queue that it does not follow. */
  | { readonly kind: 'stranger'; readonly times?: number }
  /** A notification is lost on its way, and its connection goes on. */
  | { readonly kind: 'vanish'; readonly times?: number };

export type BlockFault = 'drop' | 'stall' | 'garbage';

/** More faults than the stand-in keeps. */
export class FaultLimitError extends Error {
  override readonly name = 'FaultLimitError';
}

interface Armed {
  readonly fault: Fault;
  left: number;
}

export class FaultScript {
  private readonly clock: Clock;
  private readonly limit: number;
  private armed: Armed[] = [];
  private refusedUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, limit: number) {
    this.clock = clock;
    this.limit = limit;
  }

  /** Throws `FaultLimitError`. */
  add(...faults: readonly Fault[]): void {
    if (this.armed.length + faults.length > this.limit) throw new FaultLimitError('too many faults');
    for (const fault of faults) {
      if (fault.kind === 'refuse') this.refusedUntil = this.clock.monotonic() + fault.forMs;
      else this.armed.push({ fault, left: fault.times ?? 1 });
    }
  }

  clear(): void {
    this.armed = [];
    this.refusedUntil = Number.NEGATIVE_INFINITY;
  }

  get refusing(): boolean {
    return this.clock.monotonic() < this.refusedUntil;
  }

  /** What happens at this block of a connection. */
  takeBlock(block: number): BlockFault | undefined {
    const fault = this.take((f) => 'block' in f && f.block === block);
    return fault && 'block' in fault ? fault.kind : undefined;
  }

  takeAnswer(word: CommandWord): ErrorType | undefined {
    const fault = this.take((f) => f.kind === 'answer' && f.word === word);
    return fault?.kind === 'answer' ? fault.error : undefined;
  }

  /** Milliseconds that the next answers are late. */
  takeDelay(): number {
    const fault = this.take((f) => f.kind === 'delay');
    return fault?.kind === 'delay' ? fault.ms : 0;
  }

  takeStranger(): boolean {
    return this.take((f) => f.kind === 'stranger') !== undefined;
  }

  takeVanish(): boolean {
    return this.take((f) => f.kind === 'vanish') !== undefined;
  }

  private take(fits: (fault: Fault) => boolean): Fault | undefined {
    const armed = this.armed.find(({ fault }) => fits(fault));
    if (armed && --armed.left <= 0) this.armed.splice(this.armed.indexOf(armed), 1);
    return armed?.fault;
  }
}
