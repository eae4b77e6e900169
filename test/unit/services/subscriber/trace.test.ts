/** `trace` on the control socket: which queue, what is said, when it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { traceCommand } from '../../../../services/subscriber/trace.js';
import type { Watcher } from '../../../../services/subscriber/wake/milestones.js';
import { toBase64url } from '../../../../shared/encoding/base64url.js';
import { sameBytes } from '../../../../shared/encoding/bytes.js';
import { VirtualClock } from '../../../../shared/run/clock.js';
import { formatServer } from '../../../../shared/smp/address.js';

const REF = 3;
const notifierId = new Uint8Array(24).fill(9);
const server = formatServer({ hosts: ['smp.example'], port: '', keyHash: new Uint8Array(32).fill(1) });
const REQUEST = { do: 'trace', server, notifier: toBase64url(notifierId) };

function rig() {
  const clock = new VirtualClock();
  const state = { holder: REF as number | undefined, watcher: undefined as Watcher | undefined, ended: 0 };
  const said: object[] = [];
  const gone = new AbortController();
  const command = traceCommand({
    clock,
    wake: {
      watch: (ref, watcher) => {
        assert.equal(ref, REF);
        if (state.watcher) return undefined;
        state.watcher = watcher;
        return () => void state.ended++;
      },
    },
    holderOf: (queue) => (sameBytes(queue.notifierId, notifierId) ? state.holder : undefined),
  });
  const run = (request: Readonly<Record<string, unknown>> = REQUEST) =>
    command(request, (line) => said.push(line), gone.signal);
  return { clock, state, said, gone, run };
}

test('milestones come back with times, for five minutes at most', async () => {
  const { clock, state, said, run } = rig();
  const running = run();
  await clock.advance(12);
  state.watcher!('received');
  state.watcher!('stopped', 'gateway-away');
  await clock.advance(5 * 60_000);
  await running;
  assert.deepEqual(said, [
    { following: true },
    { ms: 12, milestone: 'received' },
    { ms: 12, milestone: 'stopped', reason: 'gateway-away' },
  ]);
  assert.deepEqual([state.ended, clock.pending], [1, 0]);
});

test('ends when nobody listens any more', async () => {
  const { clock, state, gone, run } = rig();
  const running = run();
  gone.abort();
  await running;
  assert.deepEqual([state.ended, clock.pending], [1, 0]);
});

test('says nothing of a queue that took the place of the one asked for', async () => {
  const { state, said, gone, run } = rig();
  const running = run();
  state.holder = undefined;
  state.watcher!('received');
  gone.abort();
  await running;
  assert.deepEqual(said, [{ following: true }]);
});

test('refuses queues that are not held, are followed already, or are no addresses', async () => {
  const { gone, run } = rig();
  const other = { ...REQUEST, notifier: toBase64url(new Uint8Array(24)) };
  await assert.rejects(run(other), { name: 'ControlRefusal', message: 'no such queue' });
  const wrong = { name: 'ControlRefusal', message: 'expected server and notifier' };
  for (const change of [{ server: 'nonsense' }, { server: 7 }, { notifier: 'AAAA' }, { notifier: undefined }])
    await assert.rejects(run({ ...REQUEST, ...change }), wrong);
  const first = run();
  await assert.rejects(run(), { name: 'ControlRefusal', message: 'followed already, or too many are' });
  gone.abort();
  await first;
});
