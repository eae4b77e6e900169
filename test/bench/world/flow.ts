/** Notifications through the split at the pace at which it takes them: as many under way as the window says. */
import { systemClock } from '../../../shared/run/clock.js';
import type { Split } from './split.js';

const STALLED_MS = 5_000;

/**
 * Sends `total` notifications over `queues` queues, each of another device than the last, and waits for as many
 * pushes at the far end; milliseconds. `window` must be well below `queues`, or pushes of a device would merge.
 */
export function flow(split: Split, total: number, queues: number, window: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = systemClock.monotonic();
    let sent = 0;
    let seen = 0;
    let stalled = systemClock.after(STALLED_MS, () => {});
    const send = (wanted: number): void => {
      const count = Math.min(wanted, total - sent);
      sent += count;
      if (count > 0) split.smp.call('notify', count, queues).catch(reject);
    };
    split.onPushes = (count) => {
      seen += count;
      stalled.cancel();
      if (seen >= total) resolve(systemClock.monotonic() - begun);
      else {
        stalled = systemClock.after(STALLED_MS, () => reject(new Error(`stalled at ${seen} of ${sent}`)));
        send(count);
      }
    };
    send(window);
  });
}
