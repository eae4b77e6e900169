/** Hand-over while something else breaks: what may have been lost is told as that, and what is burnt stays burnt. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import type { Channel } from '../../services/subscriber/handover/channel.js';
import { readEvents } from '../../services/subscriber/handover/events.js';
import { encodeNames } from '../../services/subscriber/handover/frames.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { askControl } from '../../shared/run/control-client.js';
import { HandOverError } from '../../shared/run/hand-over-error.js';
import { eventually, eventuallyLater } from '../support/world/eventually.js';
import { asSuccessor, closeAll, QUEUES_EACH, settledWorld } from '../support/world/hand-over.js';

/** The subscriptions that events tell as missed, until there are `count`. */
async function missedOf(channel: Channel, count: number): Promise<Set<number>> {
  const missed = new Set<number>();
  const sink = { status() {}, signal() {}, maybeMissed: (ref: number) => void missed.add(ref) };
  while (missed.size < count) {
    const { type, body } = await channel.next();
    if (type === 'event') readEvents(body, sink);
    else assert.equal(type, 'released');
  }
  return missed;
}

describe('a hand-over while something breaks', () => {
  afterEach(closeAll);

  test('a connection is lost after the copy: its queues are told as missed', async () => {
    const { world } = await settledWorld();
    const { channel } = await asSuccessor(world);
    while ((await channel.next()).type !== 'end');
    world.messagingServers[0]!.dropConnections();
    await eventually('lost', async () => (await world.metric('subscriber', 'smp_connections')) === 1);
    await channel.send('ready', encodeNames([]));
    await channel.expect('free');
    await channel.send('listening');
    await channel.expect('commit');
    await channel.send('taken');
    const missed = await missedOf(channel, QUEUES_EACH / 2);
    assert.equal(missed.size, QUEUES_EACH / 2);
    await channel.close();
    await world.subscriber.close();
  });

  test('the old one ends before it has heard all: phones look everywhere', async () => {
    const { world, phone } = await settledWorld();
    const before = await world.upgradeSubscriber();
    await before.close();
    const checks = () => phone.results.filter((result) => result?.kind === 'check').length;
    await eventuallyLater(world.clock, 'told to look', () => checks() > 0);
  });

  test('a phone that asks meanwhile waits on its connection, and is answered by whoever serves', async () => {
    const { world, phone } = await settledWorld();
    const { socket, channel } = await asSuccessor(world);
    while ((await channel.next()).type !== 'end');
    const order: number[] = [];
    const asked = [1, 2, 3].map((n) => phone.sdk.check().then(() => order.push(n)));
    await sleep(systemClock, 50);
    assert.deepEqual(order, []);
    socket.destroy();
    await Promise.all(asked);
    assert.deepEqual(order, [1, 2, 3]);
    assert.equal(phone.sdk.status, 'ACTIVE');
  });

  test('burning: nobody takes over what is burnt', async () => {
    const { world } = await settledWorld();
    const burn = async (): Promise<void> => {
      for await (const _ of askControl(join(world.subscriberFolder, 'control.sock'), { do: 'burn' }));
    };
    const { channel } = await asSuccessor(world);
    while ((await channel.next()).type !== 'end');
    const isStopped = assert.rejects(channel.expect('commit'), HandOverError);
    await burn();
    await isStopped;
    const isBusy = (error: unknown): boolean => error instanceof HandOverError && error.reason === 'busy';
    await assert.rejects(world.upgradeSubscriber(), isBusy);
  });
});
