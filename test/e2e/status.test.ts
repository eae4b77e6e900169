/** The second listeners of both services while a message travels: pages, JSON, and that the tables are complete. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GATEWAY_TABLES } from '../../services/gateway/status.js';
import { SUBSCRIBER_TABLES } from '../../services/subscriber/status.js';
import type { MetricTable } from '../../shared/run/metrics.js';
import { type Status, statusSchema } from '../../shared/run/status/schema.js';
import { eventually } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { HOST, startWorld, TOPIC, type World } from '../support/world/world.js';

/** Tables of parts that are there only when they are configured. */
const OPTIONAL = /^shared_limits_/;

describe('status pages of running services', () => {
  let world: World;
  let phone: TestPhone;
  before(async () => {
    world = await startWorld();
    phone = new TestPhone(world);
    await phone.register();
    await phone.follow('queue');
    await phone.receive('queue');
    await eventually('news', () => phone.news.length > 0);
    world.clock.leap(2_000);
  });
  after(() => world.close());

  const get = (service: 'gateway' | 'subscriber', path: string): Promise<Response> =>
    fetch(`http://${HOST}:${world[service].observePort}${path}`);
  const status = async (service: 'gateway' | 'subscriber', path = '/status.json'): Promise<Status> =>
    statusSchema.parse(await (await get(service, path)).json());

  test('both work, and the hops that one message went are there', async () => {
    const [gateway, subscriber] = [await status('gateway'), await status('subscriber')];
    assert.deepEqual([gateway.state, gateway.says], ['ok', 'Working']);
    assert.deepEqual([subscriber.state, subscriber.says], ['ok', 'Working']);
    assert.deepEqual(
      gateway.hops.map(({ state }) => state),
      ['unseen', 'idle', 'ok', 'ok'],
    );
    assert.deepEqual(
      subscriber.hops.map(({ state }) => state),
      ['ok', 'ok', 'ok', 'idle'],
    );
    assert.ok(gateway.process!.residentBytes > 1e6);
    assert.match(gateway.process!.version, /^\d+\.\d+\.\d+/);
  });

  test('pages come with a strict policy, also the public one', async () => {
    for (const service of ['gateway', 'subscriber'] as const) {
      for (const path of ['/status', '/public']) {
        const response = await get(service, path);
        assert.equal(response.status, 200);
        assert.match(
          response.headers.get('content-security-policy')!,
          /default-src 'none'.*frame-ancestors 'none'/,
        );
        assert.match(await response.text(), /<h1>(Gateway|Subscriber)<\/h1>/);
      }
    }
  });

  test('nothing of them names an app, a server, a queue or a device, or tells that one phone was active', async () => {
    const queue = phone.queues.get('queue')!;
    const notifier = Buffer.from(queue.notifier.id).toString('base64url');
    for (const service of ['gateway', 'subscriber'] as const) {
      for (const path of ['/status', '/status.json', '/public', '/public.json']) {
        const text = await (await get(service, path)).text();
        for (const word of [TOPIC, phone.token, notifier, 'localhost', HOST]) {
          assert.ok(!text.includes(word), `${service}${path}`);
        }
      }
      const counts = JSON.stringify((await status(service)).panels).match(/"about":\d+/g);
      assert.equal(counts, null);
    }
  });

  test('a gateway that can’t be used is said so', async () => {
    await world.gateway.close();
    await phone.receive('queue');
    await eventually('down', async () => {
      world.clock.leap(2_000);
      return (await status('subscriber')).state === 'down';
    });
    assert.equal((await status('subscriber')).hops[2]!.state, 'down');
    await world.startGateway();
  });

  for (const [service, tables] of [
    ['gateway', GATEWAY_TABLES],
    ['subscriber', SUBSCRIBER_TABLES],
  ] as const) {
    test(`every metric of the ${service} is in its documented tables, and no other`, async () => {
      const text = await (await get(service, '/metrics')).text();
      const served = new Map(
        [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [
          name!.replace(`porchlight_${service}_`, ''),
          kind!,
        ]),
      );
      const documented = Object.entries<MetricTable[string]>(tables)
        .filter(([name]) => served.has(name) || !OPTIONAL.test(name))
        .map(([name, { kind }]) => [name, kind] as const);
      assert.deepEqual([...served].sort(), documented.sort());
    });
  }
});
