import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_WATCHES, WatchedSink } from '../../../../../services/subscriber/probe/queue-watch.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { RecordingSink } from '../../../../support/smp-source.js';

const NONCE = new Uint8Array(24);
const METADATA = new Uint8Array(144);

function rig() {
  const clock = new VirtualClock();
  const registry = new RecordingSink();
  return { clock, registry, sink: new WatchedSink(registry, clock) };
}

test("reports of devices' queues go on to the registry, watched or not", () => {
  const { registry, sink } = rig();
  const watch = sink.watch(7)!;
  for (const ref of [7, 8]) {
    sink.status(ref, { kind: 'active' });
    sink.signal(ref, NONCE, METADATA);
    sink.maybeMissed(ref);
  }
  assert.deepEqual([registry.last(7), registry.last(8)], ['active', 'active']);
  assert.deepEqual([registry.signals.length, registry.missed], [2, [7, 8]]);
  assert.deepEqual([watch.status, watch.signals], ['active', 1]);
});

test('reports of our own queues reach only who watches them', () => {
  const { registry, sink } = rig();
  const [first, second] = [sink.watch()!, sink.watch()!];
  sink.status(first.ref, { kind: 'active' });
  sink.signal(first.ref, NONCE, METADATA);
  sink.maybeMissed(first.ref);
  assert.deepEqual([first.status, first.signals, second.status, second.signals], ['active', 1, 'pending', 0]);
  first.end();
  sink.status(first.ref, { kind: 'deleted' });
  sink.signal(first.ref, NONCE, METADATA);
  assert.deepEqual([registry.statuses.size, registry.signals, registry.missed], [0, [], []]);
});

test('waiting ends when the condition holds, when time is up, and when nobody watches any more', async () => {
  const { clock, sink } = rig();
  const watch = sink.watch()!;
  const signalled = watch.until(() => watch.signals > 0, 1_000);
  const late = watch.until(() => watch.signals > 1, 1_000);
  sink.signal(watch.ref, NONCE, METADATA);
  assert.equal(await signalled, true);
  await clock.advance(1_000);
  assert.equal(await late, false);
  const ended = watch.until(() => false, 1_000);
  watch.end();
  assert.equal(await ended, false);
  assert.equal(clock.pending, 0);
});

test('what the server ended is lost, what only waits for a connection is not', () => {
  const { sink } = rig();
  const watch = sink.watch()!;
  for (const kind of ['pending', 'active', 'inactive'] as const) {
    sink.status(watch.ref, { kind });
    assert.equal(watch.isLost, false);
  }
  for (const kind of ['auth', 'deleted', 'end', 'service'] as const) {
    sink.status(watch.ref, { kind });
    assert.equal(watch.isLost, true);
  }
});

test('one watcher a queue, and a bounded number of them', () => {
  const { sink } = rig();
  assert.ok(sink.watch(1));
  assert.equal(sink.watch(1), undefined);
  for (let n = 1; n < MAX_WATCHES; n++) assert.ok(sink.watch());
  assert.equal(sink.watch(), undefined);
});
