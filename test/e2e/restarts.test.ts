/**
 * Nothing lost (design §7): while messages keep coming, one part after the other breaks and comes back; in the end
 * every signal was told and every registration is still good.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { FaultRule } from '../../services/simulators/apns/script.js';
import { Accountant } from '../support/world/accountant.js';
import { eventually } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, type World } from '../support/world/world.js';

const PHONES = 3;
const QUEUES_EACH = 4;
/** Every other queue is at the first messaging server. */
const SUBSCRIPTIONS_OF_FIRST = (PHONES * QUEUES_EACH) / 2;
/** Messages sent while a fault lasts. */
const DURING = 12;

describe('what breaks loses nothing', () => {
  let world: World;
  let phones: TestPhone[];
  let accountant: Accountant;
  let turn = 0;

  before(async () => {
    world = await startWorld({ messagingServers: 2 });
    phones = Array.from({ length: PHONES }, () => new TestPhone(world));
    for (const phone of phones) {
      await phone.register();
      await phone.stopPeriodicChecks();
      for (let n = 0; n < QUEUES_EACH; n++) await phone.follow(`queue ${n}`, world.messagingServers[n % 2]!);
    }
    accountant = new Accountant(phones);
  });
  after(() => world.close());

  /** One message after the other, each to another queue of another phone. */
  async function traffic(count = DURING): Promise<void> {
    for (let n = 0; n < count; n++) {
      const i = turn++;
      await accountant.send(phones[i % PHONES]!, `queue ${Math.floor(i / PHONES) % QUEUES_EACH}`);
    }
  }

  /** Traffic before and while something happens. Nothing comes after that could tell what was lost by then. */
  async function amidTraffic(happens: () => void | Promise<void>): Promise<void> {
    await traffic();
    await Promise.all([happens(), traffic()]);
  }

  async function everythingTold(): Promise<void> {
    assert.deepEqual(await accountant.settle(world.clock), []);
  }

  const checks = () =>
    phones.reduce((sum, phone) => sum + phone.pushes.filter((p) => p.result?.kind === 'check').length, 0);

  test('the gateway restarts on its port and folder', async () => {
    await amidTraffic(() => world.restartGateway());
    await everythingTold();
  });

  test('the gateway is away for a while', async () => {
    await world.gateway.close();
    await traffic();
    world.clock.leap(60_000);
    await world.startGateway();
    await everythingTold();
  });

  test('the gateway comes back with another TLS key', async () => {
    await amidTraffic(() => world.restartGateway({ newTlsKey: true }));
    await everythingTold();
  });

  test("Apple's service is down, and up again", async () => {
    await world.apns.down();
    await traffic();
    await world.apns.up();
    await everythingTold();
  });

  test("connections to Apple's service are cut, or told to go away", async () => {
    await amidTraffic(() => world.apns.cut());
    await amidTraffic(() => world.apns.goaway({ reason: 'Shutdown' }));
    await amidTraffic(() => world.apns.goaway({ back: 1 }));
    await everythingTold();
  });

  for (const [status, reason] of [
    [500, 'InternalServerError'],
    [503, 'ServiceUnavailable'],
  ] as const) {
    test(`Apple answers ${status} for a time`, async () => {
      const rule: FaultRule = { on: 'push', times: 8, fault: { answer: { status, reason } } };
      await amidTraffic(() => world.apns.script.add(rule));
      await everythingTold();
      assert.ok((world.apns.counters().answers[`${status} ${reason}`] ?? 0) >= 4);
      world.apns.script.clear();
    });
  }

  test('streams are reset, before and after the work was done', async () => {
    const reset = { reset: 'cancel', processed: true } as const;
    await amidTraffic(() => world.apns.script.add({ on: 'push', every: 2, times: 4, fault: reset }));
    await amidTraffic(() =>
      world.apns.script.add({ on: 'push', every: 2, times: 4, fault: { reset: 'refused' } }),
    );
    world.apns.script.clear();
    await everythingTold();
  });

  test('a messaging server restarts in good order', async () => {
    assert.equal(checks(), 0); // so far every signal had an entry of its own
    const [server] = world.messagingServers;
    await amidTraffic(() => server!.restart());
    await everythingTold();
  });

  test('connections to messaging servers are cut', async () => {
    for (const server of world.messagingServers) {
      await amidTraffic(() => server.dropConnections());
      await everythingTold();
    }
  });

  test('notifications that died with their connection are told by a check', async () => {
    const [server] = world.messagingServers;
    const [phone] = phones;
    const before = checks();
    // What the subscriber is sent from its next block on stays in the send queue.
    const queue = await phone!.messenger(server!).createQueue();
    phone!.queues.set('last', queue);
    server!.faults.add({ kind: 'delay', ms: 3_600_000 });
    await phone!.sdk.subscribe('last', phone!.credentials('last'));
    await eventually('held back', () => server!.counters().subscriptions === SUBSCRIPTIONS_OF_FIRST + 1);
    await accountant.send(phone!, 'queue 0');
    await eventually(
      'handed over',
      () => server!.counters().notificationsSent === server!.counters().notificationsStored,
    );
    server!.dropConnections();
    await everythingTold();
    assert.ok(server!.counters().notificationsLost > 0);
    assert.ok(checks() > before);
  });

  test('at the end no registration is invalid, and none was ever lost', async () => {
    assert.ok(accountant.sent > 200, `${accountant.sent}`);
    for (const phone of phones) {
      await phone.sdk.check();
      assert.equal(phone.sdk.status, 'ACTIVE');
      assert.equal(phone.results.filter((result) => result?.kind === 'verification').length, 1);
    }
  });
});
