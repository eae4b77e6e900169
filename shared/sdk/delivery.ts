/**
 * Which pushes of profile `porchlight` count, and how many of those sent arrived (shared/push/README.md): old and
 * repeated ones are told apart by their sequence numbers. Pure.
 */
import type { PushHeader } from '../push/porchlight-profile.js';

/** What is kept between starts. */
export interface Delivery {
  /** Of the newest push that counted, Unix seconds. */
  readonly time: number;
  /** Since the phone registered; absent before the first push. */
  readonly run?: {
    readonly epoch: number;
    readonly first: number;
    readonly last: number;
    readonly received: number;
  };
}

export interface DeliveryReport {
  readonly received: number;
  /** last − first + 1 of the sequence numbers seen. */
  readonly sent: number;
  /** received / sent: gaps are normal, for Apple keeps one push of an app while the phone is away. */
  readonly rate: number;
}

/** How far `a` is ahead of `b`, modulo 2³²; negative where it is behind. */
export const ahead = (a: number, b: number): number => (a - b) | 0;

export class DeliveryLog {
  private state: Delivery;

  constructor(saved: Delivery = { time: 0 }) {
    this.state = saved;
  }

  get saved(): Delivery {
    return this.state;
  }

  get report(): DeliveryReport | undefined {
    const { run } = this.state;
    if (run === undefined) return undefined;
    const sent = ((run.last - run.first) >>> 0) + 1;
    return { received: run.received, sent, rate: run.received / sent };
  }

  /** Counts a push; how many were lost just before it, or undefined where it is old or repeated and must be ignored. */
  take({ epoch, sequence, time }: PushHeader): number | undefined {
    const { run } = this.state;
    if (run?.epoch !== epoch) {
      if (time < this.state.time) return undefined;
      this.state = { time, run: { epoch, first: sequence, last: sequence, received: 1 } };
      return 0;
    }
    const step = ahead(sequence, run.last);
    if (step <= 0) return undefined;
    this.state = { time, run: { ...run, last: sequence, received: run.received + 1 } };
    return step - 1;
  }

  /**
   * The phone has registered anew, and numbers start again.
   * @param hasNewSecret pushes from before can't be opened any more, so their times say nothing
   */
  restart(hasNewSecret: boolean): void {
    this.state = { time: hasNewSecret ? 0 : this.state.time };
  }
}
