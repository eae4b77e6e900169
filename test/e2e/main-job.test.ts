/** The main job over real sockets and TLS: a message in a queue wakes the phone that asked for it, and no other. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MIN_CHECK_MINUTES } from '../../shared/ntf/constants.js';
import { eventually, eventuallyLater } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, type World } from '../support/world/world.js';

const DAY_MS = 86_400_000;

describe('from a message to the phone', () => {
  let world: World;
  let alice: TestPhone;
  let bob: TestPhone;
  before(async () => {
    world = await startWorld({ messagingServers: 2 });
    [alice, bob] = [new TestPhone(world), new TestPhone(world)];
  });
  after(() => world.close());

  test('phones register, and prove themselves by the code of a silent push', async () => {
    await Promise.all([alice.register(), bob.register()]);
    for (const phone of [alice, bob]) {
      assert.deepEqual(phone.results, [{ kind: 'verification', verified: true }]);
      assert.equal(phone.pushes[0]!.delivery.pushType, 'background');
    }
  });

  for (const algorithm of ['ed25519', 'x25519'] as const) {
    test(`a message in a queue with an ${algorithm} key is opened with its metadata`, async () => {
      await alice.follow(algorithm, world.messagingServers[0]!, algorithm);
      const before = Math.floor(world.clock.now() / 1000);
      await alice.receive(algorithm);
      await eventually('news', () => alice.news.some(({ name }) => name === algorithm));
      const { message } = alice.news.at(-1)!;
      const queue = alice.queues.get(algorithm)!;
      const [id] = await alice.messenger(queue.server).drain(queue);
      assert.equal(Buffer.from(message!.messageId).toString('hex'), id);
      assert.ok(message!.time >= before && message!.time <= world.clock.now() / 1000);
    });
  }

  test('messages on several queues of two servers all arrive, each at the phone whose queue it is', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    for (const [i, name] of names.entries()) {
      await alice.follow(`alice ${name}`, world.messagingServers[i % 2]!);
      await bob.follow(`bob ${name}`, world.messagingServers[i % 2]!);
    }
    const seen = (phone: TestPhone) =>
      new Set(phone.pushes.flatMap(({ entries }) => entries.map((e) => e.name)));
    await Promise.all(names.flatMap((name) => [alice.receive(`alice ${name}`), bob.receive(`bob ${name}`)]));
    await eventuallyLater(world.clock, 'all news', () =>
      names.every((name) => seen(alice).has(`alice ${name}`) && seen(bob).has(`bob ${name}`)),
    );
    assert.equal(
      [...seen(alice)].some((name) => name.startsWith('bob')),
      false,
    );
    assert.equal(
      [...seen(bob)].some((name) => name.startsWith('alice')),
      false,
    );
    assert.ok(alice.pushes.every(({ result }) => result !== undefined && result.kind !== 'ignored'));
  });

  test('every message push is alike to Apple: mutable, urgent, without a collapse id, of one size', () => {
    const pushes = [...alice.pushes, ...bob.pushes].filter(({ result }) => result?.kind === 'messages');
    assert.equal(new Set(pushes.map(({ delivery }) => delivery.payload.length)).size, 1);
    for (const { delivery } of pushes) {
      const { pushType, priority, collapseId } = delivery;
      assert.deepEqual([pushType, priority, collapseId], ['alert', 10, undefined]);
      assert.equal(JSON.parse(delivery.payload).aps['mutable-content'], 1);
    }
  });

  test('other credentials of a queue: the old ones are dead, the phone finds out at its check and is woken again', async () => {
    await alice.follow('renewed');
    const old = alice.queues.get('renewed')!;
    // Somewhere else: the app on this phone does not know yet.
    await alice.messenger(old.server).renewNotifier(old);
    world.clock.leap(DAY_MS + 60_000);
    await eventuallyLater(world.clock, 'new credentials', async () => {
      await alice.sdk.check().catch(() => {}); // the subscriber asks its gateway for a new statement first
      return alice.queues.get('renewed') !== old;
    });
    assert.notDeepEqual(alice.queues.get('renewed')!.notifier.id, old.notifier.id);
    await eventuallyLater(world.clock, 'news', async () => {
      await alice.receive('renewed');
      return alice.news.some(({ name }) => name === 'renewed');
    });
  });

  test('periodic checks come, silent, spread over their interval', async () => {
    const checks = () => alice.results.filter((result) => result?.kind === 'check').length;
    const before = checks();
    await eventuallyLater(world.clock, 'two checks', () => checks() >= before + 2);
    const times = alice.pushes.filter((p) => p.result?.kind === 'check').map((p) => p.delivery.at);
    const apart = times.slice(1).map((at, i) => at - times[i]!);
    assert.ok(
      apart.every((ms) => ms >= MIN_CHECK_MINUTES * 60_000 - 1),
      `${apart}`,
    );
    assert.ok(alice.pushes.every((p) => p.result?.kind !== 'check' || p.delivery.pushType === 'background'));
  });

  test('another device token takes over everything after its own proof', async () => {
    const old = alice.token;
    alice.changeToken();
    await alice.register();
    await alice.receive('renewed');
    const lastFor = () => alice.pushes.findLast((p) => p.result?.kind === 'messages')?.delivery.token;
    await eventuallyLater(world.clock, 'a push to the new token', () => lastFor() === alice.token);
    assert.notEqual(alice.token, old);
  });

  test('a phone that unregistered is not woken, the other still is', async () => {
    await bob.sdk.unregister();
    const before = bob.pushes.length;
    const followed = () => world.messagingServers.reduce((sum, s) => sum + s.counters().subscriptions, 0);
    assert.ok(followed() > 0);
    await bob.receive('bob a');
    await alice.receive('alice a');
    const heard = alice.pushes.length;
    await eventuallyLater(world.clock, 'push for alice', () => alice.pushes.length > heard);
    assert.equal(bob.pushes.length, before);
    assert.equal(world.apns.counters().answers['410 Unregistered'], undefined);
  });
});
