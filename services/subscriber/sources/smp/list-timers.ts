/** For each list of one server's queues, when its rows are to be subscribed again. */
import type { Clock, Timer } from '../../../../shared/run/clock.js';

export class ListTimers {
  private readonly clock: Clock;
  private readonly due: (list: number) => void;
  private readonly timers: (Timer | undefined)[] = [];

  constructor(clock: Clock, due: (list: number) => void) {
    this.clock = clock;
    this.due = due;
  }

  /** In `ms`, unless that is planned already. */
  plan(list: number, ms: number): void {
    this.timers[list] ??= this.clock.after(ms, () => {
      this.timers[list] = undefined;
      this.due(list);
    });
  }

  cancel(): void {
    for (const timer of this.timers) timer?.cancel();
    this.timers.length = 0;
  }
}
