/**
 * `{"do":"burn"}` on the control socket: no phone is served any more, every proven capability is revoked at its
 * gateway, then the process ends. Who stole this memory holds nothing afterwards that a gateway takes.
 */
import type { Clock } from '../../shared/run/clock.js';
import { type ControlCommand, ControlRefusal } from '../../shared/run/control.js';
import type { Log } from '../../shared/run/log.js';
import type { WakeEngine } from './wake/wake.js';

/** Between the last answer and the end. */
const END_MS = 500;

export interface BurnOptions {
  /** No other process takes over what is burnt; false where one has. */
  readonly stay: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly wake: Pick<WakeEngine, 'burn'>;
  /** Closes the listeners: what phones register now would be known to the thief's next look. */
  readonly closeListeners: () => Promise<void>;
  /** Ends the process. */
  readonly end: () => void;
}

/** Answers with one line a capability, and a last one with the counts. Asked again, it goes on. */
export const burnCommand =
  ({ stay, clock, log, wake, closeListeners, end }: BurnOptions): ControlCommand =>
  async (_request, say, gone) => {
    if (!stay()) throw new ControlRefusal('another process has taken over: ask again');
    log.warn('burning: no phone is served any more');
    await closeListeners();
    say({ revoked: 0 });
    const { revoked, total } = await wake.burn(say, gone);
    log.warn('capabilities revoked', { count: revoked, total });
    if (gone.aborted) return;
    say({ revoked, total });
    clock.after(END_MS, end);
  };
