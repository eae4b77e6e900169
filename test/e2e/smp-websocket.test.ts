/** The SMP source by WebSocket: the same sessions in other frames, and peers that break WebSocket's rules. */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { connectSmp, type OwnQueue } from '../../services/simulators/smp/client.js';
import { tlsCredentials } from '../../services/simulators/smp/identity.js';
import type { SmpStandInOptions } from '../../services/simulators/smp/options.js';
import { startSmpServer } from '../../services/simulators/smp/server.js';
import type { Way } from '../../services/subscriber/sources/smp/ways.js';
import { createIdentity } from '../../shared/crypto/x509.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import { systemClock as clock } from '../../shared/run/clock.js';
import { SMP_BLOCK_SIZE } from '../../shared/smp/constants.js';
import { native as crypto } from '../support/crypto.js';
import { FakeSmp } from '../support/fake-smp.js';
import { newServiceIdentity } from '../support/service-identity.js';
import { notifierKey, smpSource } from '../support/smp-source.js';
import { startSocksServer } from '../support/socks-server.js';
import { frame, OPCODE, switching } from '../support/websocket-frames.js';

const BY_TLS = '127.0.0.1';
const BY_WEBSOCKET = 'localhost';
const WAY: Way = { host: BY_WEBSOCKET, transport: 'websocket' };
const FAREWELL = 'a farewell without an end';
const PINGS = 'more pings than it takes pongs';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function startSource(options: Parameters<typeof smpSource>[1] = {}) {
  const made = smpSource(crypto, { ways: [WAY], ...options });
  closers.push(() => made.source.close());
  return made;
}

/** A stand-in with both listeners, a user with `count` queues there, and a source that follows them by WebSocket. */
async function setUp(count: number, options: Partial<SmpStandInOptions> = {}, service = false) {
  const timing = { deliveryMs: 20, endMs: 20 };
  const server = await startSmpServer({ crypto, clock, timing, webSocketPort: 0, ...options });
  closers.push(() => server.close());
  const { host, port, address } = server;
  const connect = () => connectSmp({ crypto, host, port, keyHash: address.keyHash });
  const user = await connect();
  closers.push(() => user.close());
  const queues: OwnQueue[] = [];
  for (let i = 0; i < count; i++) queues.push(await user.createQueue({ notifier: true }));
  const way = { ...WAY, port: server.webSocketPort! };
  const made = startSource({ ways: [way], ...(service && { service: newServiceIdentity() }) });
  const follow = ({ notifier }: OwnQueue, ref: number) => {
    const queue = { server: { ...address, hosts: [BY_WEBSOCKET] }, notifierId: notifier!.id };
    assert.ok('handle' in made.source.follow(queue, notifier!.key, ref));
  };
  queues.forEach(follow);
  await made.sink.until(() => made.sink.count('active') === count);
  return { server, user, queues, connect, ...made };
}

describe('SMP source by WebSocket', () => {
  for (const max of [6, 11, 18, 20]) {
    test(`subscribes and hears signals at version ${max}`, async () => {
      const versions = { min: 6, max };
      const { user, queues, sink } = await setUp(140, { versions });
      await user.send(queues[3]!.senderId, utf8('hello'));
      await sink.until(() => sink.signals.length === 1);
      assert.equal(sink.signals[0]!.ref, 3);
    });
  }

  test('over TLS 1.2', async () => {
    const { user, queues, sink } = await setUp(1, { maxTls: 'TLSv1.2' });
    await user.send(queues[0]!.senderId, utf8('hello'));
    await sink.until(() => sink.signals.length === 1);
  });

  test('as a service', async () => {
    const { server, metrics, sink } = await setUp(3, {}, true);
    assert.equal(metrics.count('smp_associated_queues'), 3);
    server.dropConnections();
    await sink.until(() => sink.missed.length === 3 && sink.count('active') === 3);
    assert.equal(metrics.count('smp_service_answers_total', 'same'), 1);
  });

  test('after a restart of the server all is subscribed again, told as maybe missed, and hears what comes next', async () => {
    const { server, queues, connect, sink } = await setUp(10);
    await server.restart();
    await sink.until(() => sink.missed.length === 10 && sink.count('active') === 10);
    const user = await connect();
    closers.push(() => user.close());
    await user.send(queues[4]!.senderId, utf8('hello'));
    await sink.until(() => sink.signals.length === 1);
    assert.equal(sink.signals[0]!.ref, 4);
  });

  test('twenty blocks in flight, and all answers', async () => {
    const server = await startFake();
    const { source, sink } = startSource();
    for (let n = 0; n < 5_000; n++) follow(source, server, n, n);
    await sink.until(() => sink.count('active') === 5_000);
    assert.equal(server.connections.length, 1);
    assert.equal(server.last.blocks[0], 134);
  });

  test('where the fingerprint is another’s, nothing is said', async () => {
    const server = await startFake();
    const { source, sink, metrics } = startSource();
    const queue = server.queue(1, [BY_WEBSOCKET]);
    const keyHash = new Uint8Array(32);
    source.follow({ ...queue, server: { ...queue.server, keyHash } }, notifierKey(crypto, server, queue), 1);
    await sink.until(() => sink.last(1) === 'inactive');
    assert.equal(metrics.count('smp_connects_total', 'identity'), 1);
    assert.equal(server.last.version, 0, 'no client hello');
  });

  test('through SOCKS5, names and .onion hosts, at the port that the way names', async () => {
    const server = await startFake();
    const onion = `${'a'.repeat(56)}.onion`;
    const proxy = await startSocksServer({ names: { 'smp.example': server.port, [onion]: server.port } });
    closers.push(() => proxy.close());
    const ways = ['SMP.example', onion].map((host) => ({ ...WAY, host, port: 443 }));
    const { source, sink } = startSource({ ways, allow: [], proxy: { host: BY_TLS, port: proxy.port } });
    follow(source, server, 0, 0, 'smp.example');
    follow(source, server, 1, 1, onion);
    await sink.until(() => sink.count('active') === 2);
    assert.deepEqual(proxy.requests.map(({ host, port, type }) => `${type} ${host}:${port}`).toSorted(), [
      `name ${onion}:443`,
      'name smp.example:443',
    ]);
  });

  test('addresses that may not be dialled are not dialled', async () => {
    const server = await startFake();
    const { source, sink, metrics } = startSource({ allow: [] });
    follow(source, server, 1, 1);
    await sink.until(() => sink.last(1) === 'auth');
    assert.equal(metrics.count('smp_connects_total', 'forbidden'), 1);
    assert.equal(server.connections.length, 0);
  });
});

async function startFake(webSocket = true): Promise<FakeSmp> {
  const server = new FakeSmp({ crypto });
  server.checks = true;
  await server.listen({ webSocket });
  closers.push(() => server.close());
  return server;
}

function follow(
  source: ReturnType<typeof startSource>['source'],
  server: FakeSmp,
  n: number,
  ref: number,
  host = BY_WEBSOCKET,
): void {
  const queue = server.queue(n, [host]);
  assert.ok('handle' in source.follow(queue, notifierKey(crypto, server, queue), ref));
}

/** A server that does TLS as it should and then this, with the request that came. */
async function startPeer(answer: (socket: TLSSocket, request: string) => void) {
  const made = createIdentity({ algorithm: 'ed25519', commonName: 'localhost', now: new Date('2026-01-01') });
  const sockets: TLSSocket[] = [];
  const server = createServer(
    { ...tlsCredentials(made), ALPNProtocols: ['smp/1'], allowHalfOpen: true },
    (socket) => {
      sockets.push(socket);
      let request = '';
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        const whole = request.includes('\r\n\r\n');
        request += bytes.toString('latin1');
        if (!whole && request.includes('\r\n\r\n')) answer(socket, request);
      });
    },
  );
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, BY_TLS, resolve));
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const port = String((server.address() as AddressInfo).port);
  const queue = (n: number) => ({
    server: { hosts: [BY_WEBSOCKET], port, keyHash: made.fingerprint },
    notifierId: new Uint8Array(24).fill(n),
  });
  return { queue, sockets };
}

const someKey = () => ({ algorithm: 'ed25519', raw: crypto.randomBytes(32) }) as const;

test('the upgrade tells what it must and nothing else', async () => {
  let request = '';
  const peer = await startPeer((socket, text) => {
    request = text;
    socket.destroy();
  });
  const { source, sink } = startSource();
  source.follow(peer.queue(1), someKey(), 1);
  await sink.until(() => sink.last(1) === 'inactive');
  const lines = request.split('\r\n').map((line) => line.replace(/^(Sec-WebSocket-Key: ).{24}$/, '$1…'));
  assert.deepEqual(lines.toSorted(), [
    '',
    '',
    'Connection: Upgrade',
    'GET / HTTP/1.1',
    'Host: ',
    'Sec-WebSocket-Key: …',
    'Sec-WebSocket-Version: 13',
    'Upgrade: websocket',
  ]);
});

describe('hostile WebSocket servers', () => {
  const HONEST = [0, 1];

  /** A source that follows queues of honest servers, one by TLS and one by WebSocket. */
  async function rig() {
    const honest = [await startFake(false), await startFake()];
    const made = startSource();
    follow(made.source, honest[0]!, 7, 0, BY_TLS);
    follow(made.source, honest[1]!, 7, 1);
    await made.sink.until(() => HONEST.every((ref) => made.sink.last(ref) === 'active'));
    const assertUnharmed = async (): Promise<void> => {
      const { sink } = made;
      const before = sink.signals.length;
      for (const server of honest) server.last.notify(server.queue(7).notifierId);
      await sink.until(() => sink.signals.length === before + 2);
      for (const ref of HONEST) assert.deepEqual(sink.statuses.get(ref), ['pending', 'active']);
      assert.ok(honest.every(({ connections }) => connections.length === 1));
    };
    return { assertUnharmed, ...made };
  }

  /** The other end is gone; a hostile peer does not close its own for that. */
  const ended = (socket: TLSSocket): Promise<void> =>
    new Promise((resolve) => {
      if (socket.readableEnded || socket.destroyed) resolve();
      for (const event of ['end', 'close']) socket.once(event, () => resolve());
    });

  const closed = (socket: TLSSocket): Promise<void> =>
    new Promise((resolve) => (socket.destroyed ? resolve() : socket.once('close', () => resolve())));

  /** Writes for ever, as long as somebody reads. */
  function flood(socket: TLSSocket, bytes: Uint8Array): void {
    const more = (): void => {
      while (!socket.destroyed && socket.write(bytes));
    };
    socket.on('drain', more);
    more();
  }

  const answers: Readonly<Record<string, (socket: TLSSocket, request: string) => void>> = {
    'garbage instead of 101': (socket) => void socket.write(crypto.randomBytes(40_000)),
    'endless headers': (socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\n');
      flood(socket, utf8(`X-More: ${'a'.repeat(60)}\r\n`));
    },
    'one endless header': (socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nX-More: ');
      flood(socket, utf8('a'.repeat(1_000)));
    },
    'an endless body': (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      flood(socket, new Uint8Array(10_000));
    },
    'a way to elsewhere': (socket) =>
      void socket.write('HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n'),
    'the accept of another key': (socket) => void socket.write(switching('Sec-WebSocket-Key: AAAA\r')),
    'an extension that nobody offered': (socket, request) =>
      void socket.write(switching(request, 'Sec-WebSocket-Extensions: permessage-deflate')),
    'a subprotocol that nobody asked for': (socket, request) =>
      void socket.write(switching(request, 'Sec-WebSocket-Protocol: chat')),
    'the end': (socket) => void socket.end(),
  };

  for (const [name, answer] of Object.entries(answers)) {
    test(`to the upgrade: ${name}`, async () => {
      const { source, sink, assertUnharmed, metrics } = await rig();
      const peer = await startPeer(answer);
      source.follow(peer.queue(1), someKey(), 9);
      await sink.until(() => sink.last(9) === 'inactive');
      assert.equal(metrics.count('smp_connects_total', 'handshake'), 1);
      await ended(peer.sockets[0]!);
      await assertUnharmed();
    });
  }

  test('fifty that stall the upgrade do not keep a new honest one waiting', async () => {
    const { source, sink, assertUnharmed } = await rig();
    const peer = await startPeer(() => {});
    for (let n = 2; n < 52; n++) source.follow(peer.queue(n), someKey(), n);
    follow(source, await startFake(), 1, 99);
    await sink.until(() => sink.last(99) === 'active');
    assert.equal(sink.last(2), undefined, 'still being tried');
    await assertUnharmed();
    await source.close();
    await Promise.all(peer.sockets.map(ended));
  });

  /** Done with a block that would be a good one. */
  const misdeeds: Readonly<Record<string, (block: Uint8Array) => readonly Uint8Array[]>> = {
    'a text': (block) => [frame(OPCODE.text, block)],
    'a block’s part': (block) => [frame(OPCODE.binary, block.subarray(1))],
    'an empty message': () => [frame(OPCODE.binary, new Uint8Array(0))],
    'a byte more': (block) => [frame(OPCODE.binary, Buffer.concat([block, Buffer.alloc(1)]))],
    'a message said to be huge': () => [frame(OPCODE.binary, new Uint8Array(0), { claimed: 2 ** 50 })],
    'a block in fragments': (block) => [
      frame(OPCODE.binary, block.subarray(0, 100), { fin: false }),
      frame(OPCODE.continuation, block.subarray(100)),
    ],
    'a masked frame': (block) => [frame(OPCODE.binary, block, { masked: true })],
    'reserved bits': (block) => [frame(OPCODE.binary, block, { reserved: 4 })],
    'an unknown kind of frame': (block) => [frame(5, block)],
    'a block of garbage': () => [frame(OPCODE.binary, new Uint8Array(SMP_BLOCK_SIZE))],
    [FAREWELL]: () => [frame(OPCODE.close, new Uint8Array(0))],
    [PINGS]: () => Array.from({ length: 5_000 }, () => frame(OPCODE.ping, utf8('ping'))),
  };

  for (const [name, frames] of Object.entries(misdeeds)) {
    test(`in a session: ${name} ends it`, async () => {
      const { source, sink, assertUnharmed, metrics } = await rig();
      const bad = await startFake();
      follow(source, bad, 1, 9);
      await sink.until(() => sink.last(9) === 'active');
      const { last } = bad;
      const [block] = last.seal({ message: { word: 'PONG' } });
      last.socket!.write(Buffer.concat(frames(block!)));
      await closed(last.socket!);
      await sink.until(() => sink.statuses.get(9)!.includes('inactive'));
      const cause = [FAREWELL, PINGS].includes(name) ? 'peer' : 'protocol';
      assert.equal(metrics.count('smp_disconnects_total', cause), 1);
      await assertUnharmed();
    });

    test(`instead of a hello: ${name} ends the attempt`, async () => {
      const { source, sink, assertUnharmed, metrics } = await rig();
      const sent = Buffer.concat(frames(new Uint8Array(SMP_BLOCK_SIZE)));
      const peer = await startPeer((socket, request) => {
        socket.write(switching(request));
        socket.write(sent);
      });
      source.follow(peer.queue(1), someKey(), 9);
      await sink.until(() => sink.last(9) === 'inactive');
      assert.equal(metrics.count('smp_connects_total', 'handshake'), 1);
      await ended(peer.sockets[0]!);
      await assertUnharmed();
    });
  }

  test('pings now and then are answered, and pongs that nobody asked for taken', async () => {
    const { source, sink, assertUnharmed } = await rig();
    const server = await startFake();
    follow(source, server, 1, 9);
    await sink.until(() => sink.last(9) === 'active');
    const { socket } = server.last;
    for (let i = 0; i < 40; i++) {
      socket!.write(frame(OPCODE.ping, utf8('still there?')));
      await new Promise((resolve) => socket!.once('data', resolve));
    }
    socket!.write(Buffer.concat(Array.from({ length: 100 }, () => frame(OPCODE.pong, new Uint8Array(0)))));
    server.last.notify(server.queue(1).notifierId);
    await sink.until(() => sink.signals.length === 1);
    await assertUnharmed();
  });
});
