/** What ends a registration at the gateway, over real sockets: the phone leaves, Apple refuses it, the subscriber burns. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { askControl } from '../../shared/run/control-client.js';
import { runCli } from '../support/cli.js';
import { eventually, eventuallyLater } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, type World } from '../support/world/world.js';

const HOUR_MS = 3_600_000;

describe('the revoked set between phone, subscriber and gateway', () => {
  let world: World;
  let phone: TestPhone;
  before(async () => {
    world = await startWorld();
    phone = new TestPhone(world);
    await phone.register();
    await phone.follow('first');
  });
  after(() => world.close());

  const ended = (cause: string) => world.metric('gateway', `revocations_total{cause="${cause}"}`);
  const burn = () => runCli({ cwd: world.subscriberFolder }, 'subscriber', '--burn');
  /** A message for the phone; what it has not fetched before makes room. */
  const write = async () => {
    const queue = phone.queues.get('second')!;
    await phone.messenger(queue.server).drain(queue);
    await phone.receive('second');
  };
  const refused = () =>
    world.metric('gateway', 'frames_total{kind="message",outcome="refused",reason="revoked"}');

  test('a phone that leaves ends its capability; at once registered again, it is woken', async () => {
    await phone.sdk.unregister();
    await phone.register();
    await eventually('revocation', async () => (await ended('subscriber')) === 1);
    await phone.follow('second');
    await phone.wakesUp('second');
    assert.equal(await refused(), 0);
    // After a restart the gateway knows what it knew, and no more.
    await world.restartGateway();
    await eventuallyLater(world.clock, 'news', async () => {
      await write();
      return phone.news.filter(({ name }) => name === 'second').length > 1;
    });
    assert.equal(await refused(), 0);
  });

  test('a token that Apple gave up is ended for all; the phone gets another one and is woken', async () => {
    world.clock.leap(HOUR_MS);
    const device = world.apns.devices.find('test', phone.token)!;
    device.gone = { reason: 'Unregistered', at: world.clock.now() };
    await eventuallyLater(world.clock, 'refusal', async () => {
      await write();
      return (await ended('apple')) === 1;
    });
    await phone.sdk.check();
    phone.changeToken();
    await phone.register();
    await eventuallyLater(world.clock, 'news', async () => {
      await write();
      return phone.news.filter(({ name }) => name === 'second').length > 2;
    });
  });

  test("gateway --burn while it runs: the epoch's capabilities are refused, phones register again", async () => {
    const cwd = world.gatewayFolder;
    const roots = join(cwd, 'state/epochs');
    const [name] = readdirSync(roots).map((file) => file.replace('.key', ''));
    const { code } = await runCli({ cwd }, 'gateway', '--burn', name!);
    assert.equal(code, 0);
    const unknown = 'frames_total{kind="message",outcome="refused",reason="unknown-key"}';
    world.clock.leap(61_000);
    await eventually('forgotten', () => !readdirSync(roots).includes(`${name}.key`));
    await write();
    await eventually('refusal', async () => (await world.metric('gateway', unknown)) > 0);
    world.clock.leap(HOUR_MS);
    const [before, seen] = [phone.news.length, phone.results.length];
    await phone.sdk.check();
    const isVerified = () => phone.results.slice(seen).some((result) => result?.kind === 'verification');
    await eventuallyLater(world.clock, 'verification', isVerified);
    await write();
    await eventuallyLater(world.clock, 'news', () => phone.news.length > before);
  });

  test('--burn revokes what the running subscriber holds, and replaces its key', async () => {
    const file = join(world.subscriberFolder, 'identity.key');
    const key = readFileSync(file, 'utf8');
    world.clock.leap(HOUR_MS);
    const { code, stdout, stderr } = await burn();
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /new identity key.*[A-Za-z0-9_-]{43}\n1 capabilities revoked/s);
    assert.notEqual(readFileSync(file, 'utf8'), key);
    assert.equal(await ended('subscriber'), 1, 'since the gateway restarted');

    // Asked again, there is nothing left; nobody is served.
    const lines = [];
    const socket = join(world.subscriberFolder, 'control.sock');
    for await (const line of askControl(socket, { do: 'burn' })) lines.push(line);
    assert.deepEqual(lines.at(-1), { revoked: 0, total: 0 });
    await assert.rejects(phone.sdk.check());

    await world.subscriber.close();
    await world.startSubscriber();
    await phone.register();
    await eventuallyLater(world.clock, 'news', async () => {
      await phone.sdk.check().catch(() => {});
      await write();
      return phone.news.filter(({ name }) => name === 'second').length > 3;
    });
  });

  test('--burn without a running subscriber says that nothing is held', async () => {
    await world.subscriber.close();
    const { code, stdout } = await burn();
    assert.equal(code, 0);
    assert.match(stdout, /new identity key.*no subscriber is running, so nothing is held/s);
  });
});
