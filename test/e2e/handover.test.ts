/**
 * Hand-over (design §5): one subscriber takes over from another while messages keep coming. Nothing is lost, no phone
 * has to do anything, and what phones hold stays good.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Subscriber } from '../../services/subscriber/app.js';
import { readEvents } from '../../services/subscriber/handover/events.js';
import { encodeBegin, encodeHello, encodeNames, FORMAT } from '../../services/subscriber/handover/frames.js';
import type { KeyPair } from '../../shared/crypto/crypto.js';
import { Writer } from '../../shared/encoding/writer.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { writeSecretFile } from '../../shared/run/files.js';
import { HandOverError } from '../../shared/run/hand-over-error.js';
import { listenOn } from '../../shared/run/listen.js';
import { servicePem } from '../support/service-identity.js';
import type { Accountant } from '../support/world/accountant.js';
import { connectClient } from '../support/world/client.js';
import { eventually, eventuallyLater } from '../support/world/eventually.js';
import {
  asPredecessor,
  asSuccessor,
  closeAll,
  closers,
  connectAsSuccessor,
  greetAsSuccessor,
  hasEverything,
  isUnchanged,
  QUEUES_EACH,
  settledWorld,
  upgrade,
} from '../support/world/hand-over.js';
import { TestPhone } from '../support/world/phone.js';
import { HOST, type World } from '../support/world/world.js';

const MESSAGES = 1_000;
const UPGRADES = 3;

describe('a subscriber hands over', () => {
  afterEach(closeAll);

  test('1,000 messages across three upgrades in a row, 1,000 told', async () => {
    const { world, phones, accountant } = await settledWorld({}, 3);
    const queues = phones.length * QUEUES_EACH;
    const send = (n: number): Promise<unknown> =>
      accountant.send(phones[n % phones.length]!, `queue ${Math.floor(n / phones.length) % QUEUES_EACH}`);
    for (let upgrades = 0; upgrades < UPGRADES; upgrades++) {
      for (let n = 0; n < MESSAGES / UPGRADES; n++) await send(n);
      const { faults } = world.messagingServers[0]!;
      faults.add({ kind: 'answer', word: 'NSUB', error: { kind: 'INTERNAL' }, times: queues / 2 });
      let isOver = false;
      const upgrading = world.upgradeSubscriber().finally(() => {
        isOver = true;
      });
      while (!isOver) for (let n = 0; n < queues; n++) await send(n);
      // The last of each queue: at one server nobody but the old one hears it.
      for (let n = 0; n < queues; n++) await send(n);
      const before = await upgrading;
      assert.deepEqual(await accountant.settle(world.clock), []);
      await before.replaced;
      await before.close();
    }
    assert.ok(accountant.sent >= MESSAGES);
    for (const phone of phones) await isUnchanged(phone);
    assert.equal(await world.metric('subscriber', 'smp_events_total{kind="end"}'), 0);
    await phones[0]!.follow('one more');
    await phones[0]!.wakesUp('one more');
  });

  test('as a service: one command takes all queues over', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'porchlight-service-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'service.pem');
    writeSecretFile(file, servicePem(new Date()));
    const { world, phone, accountant } = await settledWorld({
      subscriber: { SMP_SERVICE_CERTIFICATE: file },
    });
    const [server] = world.messagingServers;
    const commands = server!.counters().commands;
    for (let n = 0; n < 8; n++) await accountant.send(phone, `queue ${n % QUEUES_EACH}`);
    await upgrade(world);
    await eventually('taken over', () => server!.counters().commands > commands);
    for (let n = 0; n < 8; n++) await accountant.send(phone, `queue ${n % QUEUES_EACH}`);
    assert.deepEqual(await accountant.settle(world.clock), []);
    const same = 'smp_service_answers_total{outcome="same"}';
    assert.equal(await world.metric('subscriber', same), world.messagingServers.length);
    assert.equal(await world.metric('subscriber', 'smp_associated_queues'), QUEUES_EACH);
    await isUnchanged(phone);
  });

  test('a push in flight is sent again as it was: the phone gets it once', async () => {
    const { world, phone } = await settledWorld();
    world.apns.script.add({ on: 'push', times: 1, fault: { latencyMs: 700 } });
    const pushes = phone.pushes.length;
    await phone.receive('queue 0');
    const sent = 'wake_sent_total{kind="message"}';
    await eventually('in flight', async () => (await world.metric('subscriber', sent)) === 1);
    await upgrade(world);
    await eventually('told', () => phone.pushes.length > pushes);
    const accepted = 'wake_outcomes_total{kind="message",outcome="accepted"}';
    await eventually('accepted', async () => (await world.metric('subscriber', accepted)) === 1);
    assert.equal(phone.pushes.length, pushes + 1);
  });

  test('what still comes to the old one after the commit is told by the new one', async () => {
    const { world, phone, accountant } = await settledWorld();
    const [server] = world.messagingServers;
    // The new one can't subscribe for now, so that the server goes on telling the old one.
    server!.faults.add({ kind: 'answer', word: 'NSUB', error: { kind: 'INTERNAL' }, times: 2 });
    const before = await world.upgradeSubscriber();
    await accountant.send(phone, 'queue 0');
    assert.deepEqual(await accountant.settle(world.clock), []);
    assert.ok(phone.pushes.at(-1)?.entries.some(({ name }) => name === 'queue 0'));
    await before.replaced;
    await before.close();
    await isUnchanged(phone);
  });

  test('what comes while it is copied is kept, and goes to the new one after the commit', async () => {
    const { world, phone } = await settledWorld();
    const { channel } = await asSuccessor(world);
    while ((await channel.next()).type !== 'end');
    const { notificationsSent } = world.messagingServers[0]!.counters();
    await phone.receive('queue 0');
    await eventually('signal on its way', () => {
      return world.messagingServers[0]!.counters().notificationsSent > notificationsSent;
    });
    const pushes = phone.pushes.length;
    await sleep(systemClock, 50);
    await channel.send('ready', encodeNames([]));
    await channel.expect('free');
    await channel.send('listening');
    await channel.expect('commit');
    await channel.send('taken');
    const signals: number[] = [];
    const sink = { status() {}, maybeMissed() {}, signal: (ref: number) => void signals.push(ref) };
    readEvents(await channel.expect('event'), sink);
    await channel.expect('released');
    assert.equal(signals.length, 1);
    assert.equal(phone.pushes.length, pushes);
    // Nobody subscribes, so that the old one goes on hearing, and handing on.
    await phone.receive('queue 0');
    readEvents(await channel.expect('event'), sink);
    assert.equal(signals.length, 2);
    assert.equal(signals[0], signals[1]);
    world.clock.leap(31_000); // no END: it closes, and says what it may have missed
    const missed: number[] = [];
    readEvents(await channel.expect('event'), {
      ...sink,
      maybeMissed: (ref: number) => void missed.push(ref),
    });
    assert.ok(missed.length >= QUEUES_EACH / 2);
    channel.close();
    await world.subscriber.close();
  });

  test('one that reads the format before its own takes over from a process of that format', async () => {
    const { world } = await settledWorld();
    await world.subscriber.close();
    const asked = asPredecessor(world, FORMAT - 1);
    const upgrading = world.upgradeSubscriber();
    const { server, channel } = await asked;
    await channel.send('begin', encodeBegin(world.clock.monotonic() + 5_000, []));
    await channel.send('end', new Writer().u32(0).done());
    await channel.expect('ready');
    server.close();
    await channel.send('commit');
    await channel.send('released');
    await upgrading;
    await channel.send('finished');
    assert.equal(await world.metric('subscriber', 'handover_taken_over'), 1);
    const phone = new TestPhone(world);
    await phone.register();
  });

  test('while the gateway is down', async () => {
    const { world, phone, accountant } = await settledWorld();
    await world.gateway.close();
    for (let n = 0; n < 8; n++) await accountant.send(phone, `queue ${n % QUEUES_EACH}`);
    await upgrade(world);
    for (let n = 0; n < 8; n++) await accountant.send(phone, `queue ${n % QUEUES_EACH}`);
    await world.startGateway();
    assert.deepEqual(await accountant.settle(world.clock), []);
    await isUnchanged(phone);
  });
});

describe('a hand-over that fails leaves all as it was', () => {
  let world: World;
  let phone: TestPhone;
  let accountant: Accountant;
  let failures = 0;

  before(async () => {
    ({ world, phone, accountant } = await settledWorld());
  });
  after(closeAll);

  const ask = () => connectAsSuccessor(world);
  const greet = () => greetAsSuccessor(world);
  const prove = (key?: KeyPair) => asSuccessor(world, key);

  /** Everything that is sent while it happens is told by the one that serves on, and clients are answered. */
  async function servesOn(happens: () => Promise<void>): Promise<void> {
    await accountant.send(phone, 'queue 0');
    await happens();
    await accountant.send(phone, 'queue 1');
    failures++;
    const failed = 'handover_total{outcome="failed"}';
    const isOver = async () => (await world.metric('subscriber', failed)) === failures;
    await eventuallyLater(world.clock, 'hand-over failed', isOver);
    await accountant.send(phone, 'queue 2');
    assert.deepEqual(await accountant.settle(world.clock), []);
    await isUnchanged(phone);
    assert.equal(await world.metric('subscriber', 'handover_state'), 0);
  }

  const refusedFor = (reason: string) => (error: unknown) =>
    error instanceof HandOverError && error.reason === reason;

  test('the successor has another key', async () => {
    await servesOn(async () => {
      const { channel } = await prove(world.crypto.ed25519KeyPair());
      await assert.rejects(channel.expect('begin'), refusedFor('key'));
    });
  });

  test('it reads newer formats only, or older ones', async () => {
    for (const [min, max] of [
      [FORMAT + 1, FORMAT + 2],
      [FORMAT - 2, FORMAT - 1],
    ] as const) {
      await servesOn(async () => {
        const { channel } = ask();
        await channel.send('hello', encodeHello({ min, max, nonce: world.crypto.randomBytes(32) }));
        await assert.rejects(channel.expect('challenge'), refusedFor('version'));
      });
    }
  });

  test('it sends what is no frame, or another one than was due', async () => {
    await servesOn(async () => {
      const { socket } = ask();
      socket.write(world.crypto.randomBytes(500));
    });
    await servesOn(async () => {
      const { channel } = ask();
      channel.post('ready');
      await assert.rejects(channel.expect('challenge'), refusedFor('frame'));
    });
  });

  test('it dies while offered, while copying, and when it has everything', async () => {
    await servesOn(async () => {
      const { socket } = await greet();
      socket.destroy();
    });
    await servesOn(async () => {
      const { socket, channel } = await prove();
      await channel.expect('begin');
      socket.destroy();
    });
    await servesOn(async () => {
      const { socket, channel } = await prove();
      while ((await channel.next()).type !== 'end');
      socket.destroy();
    });
  });

  test('it stalls before its proof, and with everything in hand', async () => {
    await servesOn(async () => {
      await greet();
    });
    await servesOn(async () => {
      const { channel } = await prove();
      while ((await channel.next()).type !== 'end');
    });
  });

  test('it dies or stalls with the old one’s address, and told that it is the subscriber', async () => {
    const lent = async () => {
      const { socket, channel } = await prove();
      await hasEverything(channel, ['phones']);
      await channel.expect('free');
      await assert.rejects(connectClient(world));
      return { socket, channel };
    };
    await servesOn(async () => {
      const { socket } = await lent();
      socket.destroy();
    });
    await servesOn(async () => {
      await lent();
    });
    await servesOn(async () => {
      const { socket, channel } = await lent();
      await channel.send('listening');
      await channel.expect('commit');
      socket.destroy();
    });
    (await connectClient(world)).close();
  });

  test('two at once: one of them takes over', async () => {
    const first = world.subscriber as Subscriber;
    const upgraded = await Promise.allSettled([world.upgradeSubscriber(), world.upgradeSubscriber()]);
    assert.deepEqual(upgraded.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.ok(upgraded.some((each) => each.status === 'rejected' && refusedFor('busy')(each.reason)));
    await first.replaced;
    await first.close();
    failures = 0;
    await accountant.send(phone, 'queue 1');
    assert.deepEqual(await accountant.settle(world.clock), []);
    await isUnchanged(phone);
  });

  test('another one asks meanwhile', async () => {
    await servesOn(async () => {
      const { socket, channel } = await prove();
      await channel.expect('begin');
      await assert.rejects(ask().channel.expect('challenge'), refusedFor('busy'));
      socket.destroy();
    });
  });

  test('its configuration has no room for what is held', async () => {
    await servesOn(async () => {
      const upgraded = world.upgradeSubscriber({ LIMITS_SUBSCRIPTIONS: '1' });
      await assert.rejects(upgraded, refusedFor('configuration'));
    });
  });

  test('one of its addresses is a stranger’s', async () => {
    const stranger = createServer();
    await listenOn(stranger, { host: HOST, port: 0 });
    const { port } = stranger.address() as AddressInfo;
    await servesOn(async () => {
      const upgraded = world.upgradeSubscriber({ OBSERVE_LISTEN: `${HOST}:${port}` });
      await assert.rejects(upgraded, new RegExp(`^ConfigError: observe\\.listen: ${HOST}:${port} is in use`));
    });
    stranger.close();
  });

  test('its queues are to share no connection, and they do', async () => {
    await servesOn(async () => {
      const upgraded = world.upgradeSubscriber({
        SMP_ISOLATION: 'device',
        SMP_SOCKS_PROXY: '127.0.0.1:9',
      });
      await assert.rejects(upgraded, refusedFor('configuration'));
    });
  });

  test('and then one succeeds', async () => {
    await accountant.send(phone, 'queue 3');
    await upgrade(world);
    assert.deepEqual(await accountant.settle(world.clock), []);
    await isUnchanged(phone);
  });
});
