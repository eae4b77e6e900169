/** A hostile messaging server (design §3, §8): what it does stays between it and those who asked for it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { SmpStandIn } from '../../../services/simulators/smp/server.js';
import { FakeSmp, startDeafServer } from '../../support/fake-smp.js';
import { eventually, eventuallyLater } from '../../support/world/eventually.js';
import { TestPhone } from '../../support/world/phone.js';
import { HOST, startWorld, type World } from '../../support/world/world.js';

describe('hostile messaging servers', () => {
  let world: World;
  let good: SmpStandIn;
  let phone: TestPhone;
  before(async () => {
    world = await startWorld();
    good = world.messagingServers[0]!;
    phone = new TestPhone(world);
    await phone.register();
    await phone.follow('friend');
  });
  after(() => world.close());

  /** Follows the n-th queue of a server that is not what it should be. */
  async function followAt(server: FakeSmp, n: number): Promise<void> {
    const queue = server.queue(n, [HOST]);
    const notifierKey = { algorithm: 'ed25519', raw: world.crypto.randomBytes(32) } as const;
    const name = `hostile ${server.port} ${n}`;
    await phone.sdk.subscribe(name, { queue, notifierKey, metadataSecret: world.crypto.randomBytes(32) });
    assert.ok(phone.sdk.subscription(name)!.subscriptionId);
  }

  async function startFake(): Promise<FakeSmp> {
    const server = new FakeSmp({ crypto: world.crypto });
    await server.listen();
    world.onClose(() => server.close());
    return server;
  }

  test('notifications of queues that nobody follows, or that are at another server, wake nobody', async () => {
    const server = await startFake();
    await followAt(server, 1);
    await eventually('subscription', () => server.last?.subscribed.length === 1);
    const before = phone.pushes.length;
    server.last.notify(phone.queues.get('friend')!.notifier.id); // the other server's
    server.last.notify(world.crypto.randomBytes(24));
    server.last.notify(server.queue(1).notifierId, new Uint8Array(201)); // and metadata too long
    const dropped = (reason: string) =>
      world.metric('subscriber', `smp_dropped_signals_total{reason="${reason}"}`);
    await eventually('drops', async () => (await dropped('unknown')) === 2 && (await dropped('size')) === 1);
    await phone.wakesUp('friend');
    const names = phone.pushes.slice(before).flatMap(({ entries }) => entries.map(({ name }) => name));
    assert.deepEqual(new Set(names), new Set(['friend']));
    assert.equal(phone.pushes.length, before + 1);
  });

  test('blocks of garbage cost that server its connection', async () => {
    const server = await startFake();
    await followAt(server, 1);
    await eventually('subscription', () => server.last?.subscribed.length === 1);
    server.last.raw(world.crypto.randomBytes(3 * 16_384));
    await eventuallyLater(world.clock, 'another connection', () => server.connections.length > 1);
    await phone.wakesUp('friend');
  });

  test('a server that takes commands and never answers', async () => {
    const server = await startFake();
    server.script = () => 'silence';
    server.pongs = false;
    for (let n = 0; n < 5; n++) await followAt(server, n);
    await eventuallyLater(world.clock, 'given up and tried again', () => server.connections.length > 1);
    await phone.wakesUp('friend');
  });

  test('no TLS, no hello, nobody there', async () => {
    const deaf = await startDeafServer();
    const noisy = await startDeafServer(world.crypto.randomBytes(20_000));
    const mute = await startFake();
    mute.hello = false;
    const ports = [deaf.port, noisy.port, 1];
    const failed = () => world.metric('subscriber', 'smp_connects_total{outcome="unreachable"}');
    const before = await failed();
    for (const [i, port] of ports.entries()) {
      const server = new FakeSmp({ crypto: world.crypto });
      server.port = port;
      await followAt(server, i);
    }
    await followAt(mute, 1);
    await eventually('a refused connection', async () => (await failed()) > before);
    await phone.wakesUp('friend');
    deaf.close();
    noisy.close();
  });

  test('a flood of notifications for a queue of its own: bounded pushes, and the other queues are still told', async () => {
    const server = await startFake();
    for (let n = 0; n < 20; n++) await followAt(server, n);
    await eventually('subscription', () => server.last?.subscribed.length === 20);
    const before = phone.pushes.length;
    for (let round = 0; round < 10; round++) {
      for (let n = 0; n < 20; n++) server.last.notify(server.queue(n).notifierId);
    }
    await phone.receive('friend');
    const isTold = () =>
      phone.pushes.slice(before).some(({ entries }) => entries.some((e) => e.name === 'friend'));
    await eventuallyLater(world.clock, 'the friend', isTold);
    assert.ok(phone.pushes.length - before < 100, `${phone.pushes.length - before}`);
    assert.equal(good.counters().subscriptions, 1);
  });
});
