/** How long a connection is kept that no queue needs: for a client that replaces its subscription. */
import type { Clock, Timer } from '../../../../shared/run/clock.js';

const LINGER_MS = 60_000;

export class Linger {
  private readonly clock: Clock;
  private timer: Timer | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Calls `end` when the time is up, from the first call on: whatever a server says meanwhile wins it no more. */
  begin(end: () => void): void {
    this.timer ??= this.clock.after(LINGER_MS, () => {
      this.timer = undefined;
      end();
    });
  }

  cancel(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }
}
