import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dispatcher } from 'undici';
import { NoAnswer, request } from '../../../../../services/subscriber/outbound/http.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';

/** A peer that sends one byte each `everyMs` and never ends, until it is told to stop. */
function tricklingPeer(clock: VirtualClock, everyMs: number): Dispatcher {
  const dispatch = (_: unknown, handler: Dispatcher.DispatchHandler): boolean => {
    let isOpen = true;
    const abort = (error: Error): void => {
      isOpen = false;
      handler.onResponseError?.(controller, error);
    };
    const controller = { abort } as unknown as Dispatcher.DispatchController;
    const next = (): void => {
      if (!isOpen) return;
      handler.onResponseData?.(controller, Buffer.alloc(1));
      clock.after(everyMs, next);
    };
    handler.onRequestStart?.(controller, {});
    handler.onResponseStart?.(controller, 200, {});
    next();
    return true;
  };
  return { dispatch } as unknown as Dispatcher;
}

const wanted = { method: 'POST', path: '/', headers: {} } as const;

test('an answer that trickles ends at the limit of the whole', async () => {
  const clock = new VirtualClock();
  let end = 0;
  const asked = request(tricklingPeer(clock, 9_000), clock, {
    ...wanted,
    timeoutMs: 10_000,
    totalMs: 60_000,
    stream: () => {},
  }).catch((error: unknown) => {
    end = clock.monotonic();
    return error;
  });
  await clock.advance(600_000);
  assert.ok((await asked) instanceof NoAnswer);
  assert.equal(end, 60_000);
  assert.equal(clock.pending, 0);
});

test('a collected answer has its time-out for the whole', async () => {
  const clock = new VirtualClock();
  const asked = request(tricklingPeer(clock, 4_000), clock, { ...wanted, timeoutMs: 5_000 }).catch(() =>
    clock.monotonic(),
  );
  await clock.advance(60_000);
  assert.equal(await asked, 5_000);
});
