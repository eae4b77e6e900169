import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { newCounters } from '../../../../../services/simulators/smp/counters.js';
import { Delivery } from '../../../../../services/simulators/smp/delivery.js';
import { FaultLimitError, FaultScript } from '../../../../../services/simulators/smp/faults.js';
import { SMP_LIMITS, SMP_TIMING } from '../../../../../services/simulators/smp/options.js';
import { Outbox } from '../../../../../services/simulators/smp/outbox.js';
import { type Notifier, QueueStore } from '../../../../../services/simulators/smp/queues.js';
import { Receivers } from '../../../../../services/simulators/smp/receivers.js';
import {
  type ServerEvent,
  type Subscriber,
  Subscriptions,
} from '../../../../../services/simulators/smp/subscriptions.js';
import { bareWire } from '../../../../../services/simulators/smp/wire.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { native as crypto } from '../../../../support/crypto.js';

class Listener implements Subscriber {
  readonly version = 18;
  full = false;
  readonly heard: (readonly ServerEvent[])[] = [];

  tell(events: readonly ServerEvent[]): void {
    this.heard.push(events);
  }
}

const notifier = (n: number): Notifier => ({
  id: new Uint8Array(24).fill(n),
  key: { algorithm: 'ed25519', raw: new Uint8Array(32) },
  secret: new Uint8Array(32),
  pending: [],
});

function makeDelivery(queueNotifications = SMP_LIMITS.queueNotifications) {
  const clock = new VirtualClock();
  const [store, receivers, counters] = [new QueueStore(), new Receivers(), newCounters()];
  const limits = { ...SMP_LIMITS, queueNotifications };
  const faults = new FaultScript(clock, 10);
  const delivery = new Delivery({
    crypto,
    clock,
    timing: SMP_TIMING,
    limits,
    store,
    receivers,
    faults,
    counters,
  });
  delivery.start();
  const notify = (to: Notifier, n = 0): void =>
    delivery.store(to, {
      nonce: new Uint8Array(24).fill(n),
      metadata: new Uint8Array(144),
      storedAt: clock.now(),
    });
  return { clock, receivers, counters, delivery, notify };
}

test('all that waits goes out in one batch per connection, and is gone with it', async () => {
  const { clock, receivers, counters, notify } = makeDelivery();
  const [a, b, elsewhere] = [notifier(1), notifier(2), notifier(3)];
  const [one, two] = [new Listener(), new Listener()];
  receivers.take(a, one);
  receivers.take(b, one);
  receivers.take(elsewhere, two);
  for (const n of [a, b, a, elsewhere]) notify(n);
  await clock.advance(SMP_TIMING.deliveryMs);
  assert.deepEqual(
    one.heard.map((batch) => batch.length),
    [3],
  );
  assert.deepEqual(
    two.heard.map((batch) => batch.length),
    [1],
  );
  assert.equal(a.pending.length, 0);
  assert.equal(counters.notificationsSent, 4);
  await clock.advance(SMP_TIMING.deliveryMs);
  assert.equal(one.heard.length, 1);
});

test('a connection whose send queue is full gets nothing, and loses nothing', async () => {
  const { clock, receivers, notify, delivery } = makeDelivery();
  const [n, slow] = [notifier(1), new Listener()];
  receivers.take(n, slow);
  slow.full = true;
  notify(n);
  delivery.end(slow, n.id, 'moved');
  await clock.advance(10 * SMP_TIMING.endMs);
  assert.equal(slow.heard.length, 0);
  slow.full = false;
  await clock.advance(SMP_TIMING.endMs);
  assert.deepEqual(
    slow.heard
      .flat()
      .map(({ message }) => message.word)
      .sort(),
    ['END', 'NMSG'],
  );
});

test('above the limit of one queue the oldest notification goes', async () => {
  const { counters, notify } = makeDelivery(2);
  const n = notifier(1);
  for (const i of [1, 2, 3]) notify(n, i);
  assert.deepEqual(
    n.pending.map(({ nonce }) => nonce[0]),
    [2, 3],
  );
  assert.equal(counters.notificationsDropped, 1);
});

test('a connection that lost its subscription to another one takes nothing along when it goes', () => {
  const subscriptions = new Subscriptions();
  const [first, second] = [new Listener(), new Listener()];
  const { id } = notifier(1);
  assert.equal(subscriptions.take(id, first), undefined);
  assert.equal(subscriptions.take(id, second), first);
  assert.equal(subscriptions.take(id, second), undefined);
  subscriptions.drop(first);
  assert.equal(subscriptions.holder(id), second);
  subscriptions.drop(second);
  assert.deepEqual([subscriptions.size, [...subscriptions.subscribers()]], [0, []]);
});

test('nothing happens any more after a stop', async () => {
  const { clock, delivery } = makeDelivery();
  delivery.stop();
  assert.equal(clock.pending, 0);
});

/** A socket that takes one block and then says it is busy. */
class SlowSocket extends EventEmitter {
  readonly written: Uint8Array[] = [];

  write(block: Uint8Array): boolean {
    this.written.push(block);
    return false;
  }
}

function makeOutbox(limit: number) {
  const [socket, clock] = [new SlowSocket(), new VirtualClock()];
  let rooms = 0;
  const outbox = new Outbox({
    wire: bareWire(socket as unknown as TLSSocket),
    clock,
    limit,
    onRoom() {
      rooms++;
    },
  });
  return { socket, clock, outbox, rooms: () => rooms };
}

test('send queue: in order, one at a time, full at its limit', () => {
  const { socket, outbox, rooms } = makeOutbox(2);
  const blocks = [1, 2, 3].map((n) => Uint8Array.of(n));
  for (const block of blocks) outbox.push(block, 10);
  assert.deepEqual([socket.written.length, outbox.full], [1, true]);
  socket.emit('drain');
  assert.deepEqual([outbox.full, rooms()], [false, 1]);
  assert.deepEqual(socket.written, blocks.slice(0, 2));
  assert.equal(outbox.close(), 10);
  socket.emit('drain');
  assert.equal(socket.written.length, 2);
});

test('send queue: held for a while', async () => {
  const { socket, clock, outbox } = makeOutbox(2);
  outbox.hold(100);
  outbox.push(Uint8Array.of(1));
  await clock.advance(99);
  assert.equal(socket.written.length, 0);
  await clock.advance(1);
  assert.equal(socket.written.length, 1);
});

test('faults are limited', () => {
  const script = new FaultScript(new VirtualClock(), 1);
  script.add({ kind: 'stranger' });
  assert.throws(() => script.add({ kind: 'stranger' }), FaultLimitError);
  script.clear();
  script.add({ kind: 'drop', block: 2, times: 2 });
  assert.deepEqual(
    [1, 2, 2, 2].map((block) => script.takeBlock(block)),
    [undefined, 'drop', 'drop', undefined],
  );
});
