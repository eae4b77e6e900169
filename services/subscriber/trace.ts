/**
 * `trace` on the control socket: follows one queue, named by its address, for five minutes at most. Its milestones go
 * back as they are passed, with times; no log line says that anybody asked.
 */
import { fromBase64url } from '../../shared/encoding/base64url.js';
import type { Clock } from '../../shared/run/clock.js';
import { type ControlCommand, ControlRefusal } from '../../shared/run/control.js';
import { parseServer, type SmpQueue } from '../../shared/smp/address.js';
import { ID_SIZE } from '../../shared/smp/constants.js';
import type { WakeEngine } from './wake/wake.js';

const TRACE_MS = 5 * 60_000;

export interface TraceOptions {
  readonly clock: Clock;
  readonly wake: Pick<WakeEngine, 'watch'>;
  /** The subscription that holds this queue. */
  readonly holderOf: (queue: SmpQueue) => number | undefined;
}

/**
 * `{"do":"trace","server":"smp://…","notifier":"base64url"}` → `{"following":true}`, then
 * `{"ms":12,"milestone":"sealed"}` and the like, `ms` from the first line on.
 */
export const traceCommand =
  ({ clock, wake, holderOf }: TraceOptions): ControlCommand =>
  async (request, say, gone) => {
    const queue = queueIn(request);
    const ref = holderOf(queue);
    if (ref === undefined) throw new ControlRefusal('no such queue');
    const startedAt = clock.monotonic();
    const stop = wake.watch(ref, (milestone, reason) => {
      if (holderOf(queue) !== ref) return; // the number may be another queue's by now
      say({
        ms: Math.round(clock.monotonic() - startedAt),
        milestone,
        ...(reason !== undefined && { reason }),
      });
    });
    if (stop === undefined) throw new ControlRefusal('followed already, or too many are');
    say({ following: true });
    await over(clock, gone);
    stop();
  };

/** When nobody listens any more, or time is up. */
function over(clock: Clock, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(TRACE_MS, resolve);
    const end = (): void => {
      timer.cancel();
      resolve();
    };
    if (gone.aborted) end();
    else gone.addEventListener('abort', end, { once: true });
  });
}

function queueIn({ server, notifier }: Readonly<Record<string, unknown>>): SmpQueue {
  const notifierId = typeof notifier === 'string' ? fromBase64url(notifier) : undefined;
  if (typeof server !== 'string' || notifierId?.length !== ID_SIZE) {
    throw new ControlRefusal('expected server and notifier');
  }
  try {
    return { server: parseServer(server), notifierId };
  } catch {
    throw new ControlRefusal('expected server and notifier');
  }
}
