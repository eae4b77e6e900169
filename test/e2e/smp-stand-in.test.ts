/** The SMP stand-in over real TLS on loopback, used by its own client. Hours pass on a virtual clock. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { connectSmp, type OwnQueue, type SmpClient } from '../../services/simulators/smp/client.js';
import type { SmpDialOptions } from '../../services/simulators/smp/client-link.js';
import { createSmpIdentity, smpIdentityIn } from '../../services/simulators/smp/identity.js';
import type { SmpStandInOptions } from '../../services/simulators/smp/options.js';
import { type SmpStandIn, startSmpServer } from '../../services/simulators/smp/server.js';
import {
  authKeyPair,
  type NotifierCredentials,
  SmpClosedError,
} from '../../services/subscriber/probe/smp-user.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import { VirtualClock } from '../../shared/run/clock.js';
import { BlockReader, plainBlocks } from '../../shared/smp/block.js';
import type { ServerMessage } from '../../shared/smp/commands.js';
import { decodeServiceResponse, encodeClientHello } from '../../shared/smp/handshake.js';
import { openMeta } from '../../shared/smp/message-body.js';
import { native as crypto } from '../support/crypto.js';

const HELLO = utf8('hello');
const TICK_MS = 1_500;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Rig {
  readonly clock: VirtualClock;
  readonly server: SmpStandIn;
  connect(options?: Partial<SmpDialOptions>): Promise<SmpClient>;
}

async function rig(options: Partial<SmpStandInOptions> = {}): Promise<Rig> {
  const clock = new VirtualClock();
  const server = await startSmpServer({ crypto, clock, ...options });
  cleanups.push(() => server.close());
  const connect = async (extra: Partial<SmpDialOptions> = {}) => {
    const { keyHash } = server.address;
    const client = await connectSmp({ crypto, host: server.host, port: server.port, keyHash, ...extra });
    cleanups.push(() => client.close());
    return client;
  };
  return { clock, server, connect };
}

type Nmsg = Extract<ServerMessage, { word: 'NMSG' }>;

async function notification(client: SmpClient, notifier: NotifierCredentials): Promise<Nmsg> {
  const { entityId, message } = await client.nextEvent();
  assert.deepEqual(entityId, notifier.id);
  assert.ok(message.word === 'NMSG');
  return message;
}

async function notified(client: SmpClient): Promise<OwnQueue & { readonly notifier: NotifierCredentials }> {
  const queue = await client.createQueue({ notifier: true });
  return { ...queue, notifier: queue.notifier! };
}

/** The version of TLS that a client of at most `maxVersion` ends up with. */
function negotiated(
  { port }: SmpStandIn,
  maxVersion: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3',
): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion,
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getProtocol());
      socket.destroy();
    });
  });
}

const word = async (client: SmpClient): Promise<string> => (await client.nextEvent()).message.word;

/** Waits until what one client did has reached the server and come back. */
const settled = (...clients: readonly SmpClient[]): Promise<unknown> =>
  Promise.all(clients.map((c) => c.ping()));

describe('handshake', () => {
  for (const version of [6, 7, 10, 15, 16, 18, 20]) {
    test(`version ${version}: a queue, a message, a notification`, async () => {
      const { clock, connect } = await rig({ versions: { min: 6, max: 20 } });
      const user = await connect({ versions: { min: version, max: version }, alpn: version > 6 });
      assert.equal(user.version, version);
      const queue = await notified(user);
      await user.subscribeNotifications(queue.notifier);
      await user.send(queue.senderId, HELLO);
      await clock.advance(TICK_MS);
      const { nonce, metadata } = await notification(user, queue.notifier);
      const { messageId } = openMeta(crypto, queue.notifier.secret, nonce, metadata);
      await user.subscribe(queue);
      const { message } = await user.nextEvent();
      assert.ok(message.word === 'MSG');
      assert.deepEqual(message.messageId, messageId);
      const body = user.open(queue, message);
      assert.ok(body.kind === 'message' && body.notify);
      assert.deepEqual(body.body, HELLO);
      assert.equal(await user.acknowledge(queue, messageId), undefined);
    });
  }

  for (const version of [6, 18]) {
    test(`TLS 1.2, version ${version}: a queue, a message, a notification`, async () => {
      const { clock, server, connect } = await rig({ maxTls: 'TLSv1.2' });
      const user = await connect({ alpn: version > 6 });
      assert.equal(user.version, version);
      const queue = await notified(user);
      await user.subscribeNotifications(queue.notifier);
      await user.send(queue.senderId, HELLO);
      await clock.advance(TICK_MS);
      await notification(user, queue.notifier);
      assert.equal(await negotiated(server, 'TLSv1.3'), 'TLSv1.2');
    });
  }

  test('TLS 1.2 and 1.3 unless told otherwise, nothing older', async () => {
    const { server } = await rig();
    assert.equal(await negotiated(server, 'TLSv1.3'), 'TLSv1.3');
    assert.equal(await negotiated(server, 'TLSv1.2'), 'TLSv1.2');
    await assert.rejects(negotiated(server, 'TLSv1.1'), { code: /SSL|TLS/ });
  });

  test('Ed448 identity', async () => {
    const { connect } = await rig({ identity: createSmpIdentity(new Date(), 'ed448') });
    await (await connect()).ping();
  });

  test('a client without ALPN gets version 6; one with a foreign protocol is refused by TLS', async () => {
    const { server, connect } = await rig();
    assert.equal((await connect({ alpn: false })).version, 6);
    const alert = await new Promise<NodeJS.ErrnoException>((resolve) => {
      const { host, port } = server;
      connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['xmpp'] }).once('error', resolve);
    });
    assert.match(String(alert.code), /NO_APPLICATION_PROTOCOL/);
  });

  test('without a client key blocks are not encrypted, and everything works', async () => {
    const { connect } = await rig();
    await (await connect({ sendsKey: false })).createQueue({ notifier: true });
  });

  test('another identity than the address names', async () => {
    const { connect } = await rig();
    await assert.rejects(connect({ keyHash: new Uint8Array(32) }), { name: 'SmpHandshakeError' });
  });

  test('a certificate that the identity did not issue', async () => {
    const [real, forger] = [createSmpIdentity(new Date()), createSmpIdentity(new Date())];
    const { connect } = await rig({ identity: { ...forger, caCert: real.caCert } });
    await assert.rejects(connect(), { name: 'SmpHandshakeError' });
  });

  for (const [what, version, ours, key] of [
    ['for another server', 18, false, undefined],
    ['with a version that was not offered', 19, true, undefined],
    ['with a key that makes no secret', 18, true, new Uint8Array(32)],
  ] as const) {
    test(`a client hello ${what} ends the connection`, async () => {
      const { server } = await rig();
      const { host, port, address } = server;
      const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['smp/1'] });
      await new Promise((resolve) => socket.once('data', resolve));
      const keyHash = ours ? address.keyHash : new Uint8Array(32);
      const hello = { version, keyHash, ...(key && { sessionKey: key }) };
      socket.write(plainBlocks().seal(encodeClientHello(hello)));
      await new Promise((resolve) => socket.resume().once('close', resolve));
      assert.equal(server.counters().sessions, 0);
    });
  }

  test('a service certificate that TLS did not show is refused', async () => {
    const { server } = await rig();
    const { host, port, address } = server;
    const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['smp/1'] });
    await new Promise((resolve) => socket.once('data', resolve));
    const service = { role: 'N', chain: [HELLO], signedKey: HELLO } as const;
    const reader = new BlockReader();
    const response = new Promise<Uint8Array>((resolve) => {
      socket.on('data', (chunk) =>
        reader.push(chunk).forEach((block, i) => void (i === 0 && resolve(block))),
      );
    });
    socket.write(plainBlocks().seal(encodeClientHello({ version: 18, keyHash: address.keyHash, service })));
    assert.deepEqual(decodeServiceResponse(plainBlocks().open(await response)), {
      error: { kind: 'HANDSHAKE', reason: 'BAD_AUTH' },
    });
  });

  test('a client that never says hello is cut after two minutes', async () => {
    const { clock, server } = await rig();
    const { host, port } = server;
    const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['smp/1'] });
    await new Promise((resolve) => socket.once('data', resolve));
    const closed = new Promise((resolve) => socket.resume().once('close', resolve));
    await clock.advance(120_000);
    await closed;
  });
});

describe('notifications', () => {
  test('go out with the tick, to one subscriber, oldest first', async () => {
    const { clock, connect } = await rig();
    const [user, notifier] = [await connect(), await connect()];
    const queue = await notified(user);
    await notifier.subscribeNotifications(queue.notifier);
    for (let i = 0; i < 3; i++) await user.send(queue.senderId, HELLO);
    await user.send(queue.senderId, HELLO, { notify: false });
    await clock.advance(TICK_MS - 1);
    await settled(notifier);
    await clock.advance(1);
    const ids = [];
    for (let i = 0; i < 3; i++) {
      const { nonce, metadata } = await notification(notifier, queue.notifier);
      ids.push(openMeta(crypto, queue.notifier.secret, nonce, metadata).messageId);
    }
    await user.subscribe(queue);
    const { message } = await user.nextEvent();
    assert.ok(message.word === 'MSG');
    assert.deepEqual(message.messageId, ids[0]);
    assert.deepEqual((await user.acknowledge(queue, ids[0]!))?.messageId, ids[1]);
  });

  test('are kept while nobody subscribes, for a day', async () => {
    const { clock, server, connect } = await rig({ timing: { deliveryMs: 3_600_000, endMs: 3_600_000 } });
    const user = await connect();
    const [old, fresh] = [await notified(user), await notified(user)];
    await user.send(old.senderId, HELLO);
    await clock.advance(23 * 3_600_000);
    await user.send(fresh.senderId, HELLO);
    await clock.advance(2 * 3_600_000);
    await user.subscribeNotifications(old.notifier);
    await user.subscribeNotifications(fresh.notifier);
    await clock.advance(3_600_000);
    await notification(user, fresh.notifier);
    assert.equal(server.counters().notificationsExpired, 1);
  });

  test('a second subscriber takes over; the first hears END within 15 seconds', async () => {
    const { clock, connect } = await rig();
    const [first, second] = [await connect(), await connect()];
    const queue = await notified(first);
    await first.subscribeNotifications(queue.notifier);
    await second.subscribeNotifications(queue.notifier);
    await first.send(queue.senderId, HELLO);
    await clock.advance(15_000);
    await notification(second, queue.notifier);
    assert.equal(await word(first), 'END');
  });

  test('new credentials, none, and a deleted queue: DELD for the old id', async () => {
    const { clock, connect } = await rig();
    const user = await connect();
    const queues = [await notified(user), await notified(user), await notified(user)] as const;
    for (const { notifier } of queues) await user.subscribeNotifications(notifier);
    const renewed = await user.enableNotifications(queues[0], 'x25519');
    await user.disableNotifications(queues[1]);
    await user.disableNotifications(queues[1]);
    await user.deleteQueue(queues[2]);
    await clock.advance(15_000);
    for (const { notifier } of queues) {
      const { entityId, message } = await user.nextEvent();
      assert.deepEqual([message.word, entityId], ['DELD', notifier.id]);
      await assert.rejects(user.subscribeNotifications(notifier), { message: 'AUTH' });
    }
    await user.subscribeNotifications(renewed);
  });

  test('below version 10 a deletion is an END', async () => {
    const { clock, connect } = await rig();
    const user = await connect({ versions: { min: 9, max: 9 } });
    const queue = await notified(user);
    await user.subscribeNotifications(queue.notifier);
    await user.disableNotifications(queue);
    await clock.advance(15_000);
    assert.equal(await word(user), 'END');
  });

  test('80 of them fill a block; a hundred arrive', async () => {
    const { clock, connect } = await rig();
    const user = await connect();
    const queue = await notified(user);
    await user.subscribeNotifications(queue.notifier);
    const send = { command: { word: 'SEND', notify: true, body: HELLO }, entityId: queue.senderId } as const;
    await user.request(...Array.from({ length: 100 }, () => send));
    await clock.advance(TICK_MS);
    for (let i = 0; i < 100; i++) await notification(user, queue.notifier);
  });
});

describe('queues', () => {
  test('a secured queue takes messages of its sender only', async () => {
    const { connect } = await rig();
    const user = await connect();
    const queue = await user.createQueue();
    const sender = authKeyPair(crypto);
    await user.secure(queue.senderId, sender);
    await user.secure(queue.senderId, sender);
    await assert.rejects(user.secure(queue.senderId, authKeyPair(crypto)), { message: 'AUTH' });
    await assert.rejects(user.send(queue.senderId, HELLO), { message: 'AUTH' });
    await user.send(queue.senderId, HELLO, { key: sender.privateKey });
  });

  test('a full queue says QUOTA until it has been emptied, and nothing is notified', async () => {
    const { server, connect } = await rig({ limits: { queueMessages: 2 } });
    const user = await connect();
    const queue = await notified(user);
    await user.send(queue.senderId, HELLO);
    await user.send(queue.senderId, HELLO);
    for (let i = 0; i < 2; i++) await assert.rejects(user.send(queue.senderId, HELLO), { message: 'QUOTA' });
    assert.equal(server.counters().notificationsStored, 2);
    await user.subscribe(queue);
    let next: ServerMessage | undefined = (await user.nextEvent()).message;
    const kinds = [];
    while (next?.word === 'MSG') {
      kinds.push(user.open(queue, next).kind);
      await assert.rejects(user.send(queue.senderId, HELLO), { message: 'QUOTA' });
      next = await user.acknowledge(queue, next.messageId);
    }
    assert.deepEqual(kinds, ['message', 'message', 'quota']);
    await user.send(queue.senderId, HELLO);
  });

  test('a body that is too long, an unknown queue, an unknown message', async () => {
    const { connect } = await rig();
    const user = await connect();
    const queue = await user.createQueue();
    await user.send(queue.senderId, new Uint8Array(16_048));
    await assert.rejects(user.send(queue.senderId, new Uint8Array(16_049)), { message: 'LARGE_MSG' });
    await assert.rejects(user.send(new Uint8Array(24), HELLO), { message: 'AUTH' });
    await assert.rejects(user.acknowledge(queue, new Uint8Array(24)), { message: 'NO_MSG' });
  });

  test('no more queues than the limit', async () => {
    const { connect } = await rig({ limits: { queues: 1 } });
    const user = await connect();
    await user.createQueue();
    await assert.rejects(user.createQueue(), { message: 'STORE' });
  });
});

describe('restarts', () => {
  test('graceful: queues, messages and notifications are there again; subscriptions are not', async () => {
    const { clock, server, connect } = await rig();
    const user = await connect();
    const queue = await notified(user);
    await user.subscribeNotifications(queue.notifier);
    await user.send(queue.senderId, HELLO);
    const { port } = server;
    await server.restart();
    assert.equal(server.port, port);
    assert.equal(clock.pending, 3); // the server's timers, not those of before as well
    await assert.rejects(user.ping(), SmpClosedError);
    const again = await connect();
    await again.subscribeNotifications(queue.notifier);
    await clock.advance(TICK_MS);
    await notification(again, queue.notifier);
  });

  test('a power cut loses messages and notifications, not queues', async () => {
    const { clock, server, connect } = await rig();
    const user = await connect();
    const queue = await notified(user);
    await user.send(queue.senderId, HELLO);
    await server.restart({ graceful: false });
    const again = await connect();
    await again.subscribeNotifications(queue.notifier);
    await clock.advance(TICK_MS);
    assert.deepEqual([server.counters().notificationsLost, server.counters().notificationsSent], [1, 0]);
  });

  test('state and identity outlive the process in their files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'porchlight-smp-'));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const options = { identity: smpIdentityIn(folder, new Date()), stateFile: join(folder, 'state.json') };
    const first = await rig(options);
    const user = await first.connect();
    const sender = authKeyPair(crypto);
    const queue = await notified(user);
    await user.secure(queue.senderId, sender);
    await user.send(queue.senderId, HELLO, { key: sender.privateKey });
    await first.server.close();

    const { clock, server, connect } = await rig({ ...options, identity: smpIdentityIn(folder, new Date()) });
    assert.deepEqual(server.address.keyHash, first.server.address.keyHash);
    const again = await connect();
    await again.subscribeNotifications(queue.notifier);
    await clock.advance(TICK_MS);
    await notification(again, queue.notifier);
    await again.subscribe(queue);
    const { message } = await again.nextEvent();
    assert.ok(message.word === 'MSG' && again.open(queue, message).kind === 'message');
    await again.send(queue.senderId, HELLO, { key: sender.privateKey });
  });
});

describe('faults', () => {
  test('answers with errors as often as ordered', async () => {
    const { server, connect } = await rig();
    const user = await connect();
    const { notifier } = await notified(user);
    server.faults.add({ kind: 'answer', word: 'NSUB', error: { kind: 'INTERNAL' }, times: 2 });
    for (let i = 0; i < 2; i++)
      await assert.rejects(user.subscribeNotifications(notifier), { message: 'INTERNAL' });
    await user.subscribeNotifications(notifier);
  });

  test('a connection cut at its third block', async () => {
    const { server, connect } = await rig();
    const user = await connect();
    server.faults.add({ kind: 'drop', block: 3 });
    await user.ping();
    await user.ping();
    await assert.rejects(user.ping(), SmpClosedError);
    await (await connect()).ping();
  });

  test('a block that nobody can read', async () => {
    const { server, connect } = await rig();
    const user = await connect();
    server.faults.add({ kind: 'garbage', block: 1 });
    await assert.rejects(user.ping(), SmpClosedError);
  });

  test('silence', async () => {
    const { clock, server, connect } = await rig();
    const user = await connect();
    server.faults.add({ kind: 'stall', block: 1 });
    const answer = user.ping();
    await clock.advance(60_000);
    server.dropConnections();
    await assert.rejects(answer, SmpClosedError);
  });

  test('late answers', async () => {
    const { clock, server, connect } = await rig();
    const user = await connect();
    server.faults.add({ kind: 'delay', ms: 5_000 });
    let answered = false;
    const answer = user.ping().then(() => {
      answered = true;
    });
    while (server.counters().blocks < 1) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(4_999);
    assert.equal(answered, false);
    await clock.advance(1);
    await answer;
  });

  test('refused connections, for a time', async () => {
    const { clock, server, connect } = await rig();
    server.faults.add({ kind: 'refuse', forMs: 1_000 });
    await assert.rejects(connect());
    await clock.advance(1_000);
    await (await connect()).ping();
  });

  test('a notification of a queue that nobody follows', async () => {
    const { clock, server, connect } = await rig();
    const user = await connect();
    const { notifier } = await notified(user);
    await user.subscribeNotifications(notifier);
    server.faults.add({ kind: 'stranger' });
    await clock.advance(TICK_MS);
    const { entityId, message } = await user.nextEvent();
    assert.equal(message.word, 'NMSG');
    assert.notDeepEqual(entityId, notifier.id);
  });
});

describe('bounds', () => {
  test('connections above the limit are closed at once', async () => {
    const { connect } = await rig({ limits: { connections: 1 } });
    const first = await connect();
    await assert.rejects(connect());
    await first.ping();
  });
});

test('control: faults, counters, restart, refusal of nonsense', async () => {
  const { server, connect } = await rig({ controlPort: 0 });
  const socket = connectTcp(server.controlPort!, '127.0.0.1');
  cleanups.push(() => socket.destroy());
  let answers = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    answers += chunk;
  });
  const ask = async (order: unknown): Promise<Record<string, unknown>> => {
    answers = '';
    socket.write(`${typeof order === 'string' ? order : JSON.stringify(order)}\n`);
    while (!answers.endsWith('\n')) await new Promise((resolve) => setImmediate(resolve));
    return JSON.parse(answers) as Record<string, unknown>;
  };
  assert.deepEqual(
    await ask({ do: 'faults', faults: [{ kind: 'answer', word: 'PING', error: 'INTERNAL' }] }),
    { ok: true },
  );
  const user = await connect();
  await assert.rejects(user.ping(), { message: 'INTERNAL' });
  const { counters } = await ask({ do: 'counters' });
  assert.equal((counters as { errors: number }).errors, 1);
  assert.deepEqual(await ask({ do: 'restart' }), { ok: true });
  await assert.rejects(user.ping(), SmpClosedError);
  for (const bad of [
    '{',
    '{}',
    { do: 'explode' },
    { do: 'faults', faults: [{ kind: 'answer', word: 'PING', error: 'WHAT' }] },
  ]) {
    assert.equal((await ask(bad)).ok, false);
  }
  assert.deepEqual(await ask({ do: 'clear' }), { ok: true });
});
