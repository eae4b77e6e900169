/** The SMP source against servers on real sockets with real TLS. */
import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import { AddressGuard, type Resolve } from '../../services/subscriber/sources/smp/address-guard.js';
import { tlsOpener } from '../../services/subscriber/sources/smp/tls-socket.js';
import { createIdentity } from '../../shared/crypto/x509.js';
import type { AuthAlgorithm } from '../../shared/encoding/keys.js';
import { SMP_ALPN } from '../../shared/smp/constants.js';
import { native as crypto } from '../support/crypto.js';
import { FakeSmp, type FakeSmpOptions, startDeafServer } from '../support/fake-smp.js';
import { notifierKey, smpSource } from '../support/smp-source.js';

const HOST = ['localhost'];
const closers: (() => unknown)[] = [];
const cleanUp = async (): Promise<void> => {
  for (const close of closers.splice(0)) await close();
};
afterEach(cleanUp);
after(cleanUp);

async function startServer(options: Partial<FakeSmpOptions> = {}, listen?: Parameters<FakeSmp['listen']>[0]) {
  const server = new FakeSmp({ crypto, ...options });
  server.checks = true;
  await server.listen(listen);
  closers.push(() => server.close());
  return server;
}

function startSource(...args: [options?: Parameters<typeof smpSource>[1]]) {
  const made = smpSource(crypto, ...args);
  closers.push(() => made.source.close());
  return made;
}

/** Follows queues `from` to `from + count − 1` with refs of the same numbers; returns the handles. */
function follow(
  source: ReturnType<typeof startSource>['source'],
  server: FakeSmp,
  count: number,
  algorithm: AuthAlgorithm = 'ed25519',
  from = 0,
): number[] {
  return Array.from({ length: count }, (_, i) => {
    const queue = server.queue(from + i, HOST);
    const followed = source.follow(queue, notifierKey(crypto, server, queue, algorithm), from + i);
    assert.ok('handle' in followed);
    return followed.handle;
  });
}

describe('SMP source over TLS', () => {
  for (const max of [6, 7, 10, 11, 15, 16, 18, 20]) {
    test(`subscribes and hears signals at version ${max}`, async () => {
      const server = await startServer({ versions: { min: 6, max } }, max === 6 ? { alpn: [] } : {});
      const { source, sink, metrics } = startSource();
      follow(source, server, 140);
      await sink.until(() => sink.count('active') === 140);
      assert.deepEqual(sink.statuses.get(0), ['pending', 'active']);
      assert.equal(server.last.version, max);
      assert.equal(server.connections.length, 1);
      server.last.notify(server.queue(3).notifierId);
      await sink.until(() => sink.signals.length === 1);
      assert.deepEqual(sink.signals[0], {
        ref: 3,
        nonce: new Uint8Array(24).fill(5),
        metadata: new Uint8Array(144).fill(7),
      });
      assert.equal(metrics.count('smp_answers_total', 'subscribed'), 140);
      assert.deepEqual(sink.missed, []);
    });
  }

  for (const algorithm of ['ed25519', 'ed448', 'x25519'] as const) {
    for (const max of [7, 15, 18]) {
      test(`authorises with ${algorithm} at version ${max}`, async () => {
        const server = await startServer({
          versions: { min: 6, max },
          algorithm: max === 15 ? 'ed448' : 'ed25519',
        });
        const { source, sink } = startSource();
        follow(source, server, 5, algorithm);
        await sink.until(() => sink.count('active') === 5);
      });
    }
  }

  test('an X25519 key has no authenticator at version 6: an error of ours, not of the peer', async () => {
    const server = await startServer({ versions: { min: 6, max: 6 } }, { alpn: [] });
    const { source, sink } = startSource();
    follow(source, server, 1, 'x25519');
    await sink.until(() => sink.last(0) === 'ERR SMP error TRANSPORT NO_AUTH');
  });

  test('TLS 1.2 where the peer has nothing newer', async () => {
    const server = await startServer({}, { maxVersion: 'TLSv1.2' });
    const { source, sink } = startSource();
    follow(source, server, 2);
    await sink.until(() => sink.count('active') === 2);
    assert.equal(server.last.sessionId.length, 12);
  });

  test('blocks are full: 134 NSUBs of Ed25519 at version 18, 118 authenticators', async () => {
    const server = await startServer();
    const { source, sink } = startSource();
    follow(source, server, 300);
    await sink.until(() => sink.count('active') === 300);
    assert.deepEqual(server.last.blocks, [134, 134, 32]);
    follow(source, server, 119, 'x25519', 1000);
    await sink.until(() => sink.count('active') === 419);
    assert.deepEqual(server.last.blocks.slice(3), [118, 1]);
  });

  test('many blocks are in flight, but no more than the window', async () => {
    const server = await startServer();
    const { source, sink } = startSource();
    let released = false;
    const { script } = server;
    server.script = (id, connection) => (released ? script(id, connection) : 'silence');
    follow(source, server, 5000);
    while (server.connections.length === 0 || server.last.held.length < 2000) await sleepTurn();
    for (let i = 0; i < 50; i++) await sleepTurn();
    const before = server.last.held.length;
    assert.ok(before > 2000 && before <= 2700, String(before));
    released = true;
    for (const request of server.last.held) server.last.answer(request, { word: 'SOK' });
    await sink.until(() => sink.count('active') === 5000);
  });

  test('a broken connection comes back with all 3,000 queues, which are told that signals may be missing', async () => {
    const server = await startServer();
    const { source, sink, metrics } = startSource();
    follow(source, server, 3000);
    await sink.until(() => sink.count('active') === 3000);
    server.last.cut();
    await sink.until(() => sink.count('inactive') === 3000);
    await sink.until(() => sink.count('active') === 3000);
    assert.equal(server.connections.length, 2);
    assert.equal(new Set(server.last.subscribed).size, 3000);
    assert.equal(sink.missed.length, 3000);
    assert.deepEqual(sink.statuses.get(7), ['pending', 'active', 'inactive', 'active']);
    assert.equal(metrics.count('smp_disconnects_total', 'peer'), 1);
  });

  test('a server that restarts is found again', async () => {
    const server = await startServer();
    const { source, sink } = startSource();
    follow(source, server, 10);
    await sink.until(() => sink.count('active') === 10);
    server.close();
    await sink.until(() => sink.count('inactive') === 10);
    await server.listen();
    await sink.until(() => sink.count('active') === 10);
  });

  test('END, DELD and a wrong key', async () => {
    const server = await startServer();
    const { source, sink } = startSource();
    follow(source, server, 3);
    await sink.until(() => sink.count('active') === 3);
    server.last.send(
      { message: { word: 'END' }, entityId: server.queue(0).notifierId },
      { message: { word: 'DELD' }, entityId: server.queue(1).notifierId },
    );
    await sink.until(() => sink.last(1) === 'deleted');
    assert.equal(sink.last(0), 'end');
    const wrong = { algorithm: 'ed25519', raw: crypto.randomBytes(32) } as const;
    source.follow(server.queue(9), wrong, 9);
    await sink.until(() => sink.last(9) === 'auth');
    assert.equal(sink.last(2), 'active');
  });

  test('a server with another fingerprint gets nothing', async () => {
    const server = await startServer();
    const other = createIdentity({ algorithm: 'ed25519', commonName: 'x', now: new Date('2026-01-01') });
    const { source, sink, metrics } = startSource();
    const queue = server.queue(0);
    const key = notifierKey(crypto, server, queue);
    source.follow({ ...queue, server: { ...queue.server, keyHash: other.fingerprint } }, key, 0);
    await sink.until(() => sink.last(0) === 'inactive');
    assert.equal(metrics.count('smp_connects_total', 'identity'), 1);
    assert.equal(server.last.version, 0, 'no client hello');
  });

  test('garbage instead of TLS, and a hello that is none, show INACTIVE and no text', async () => {
    const garbage = await startDeafServer(new Uint8Array(20_000).fill(0x41));
    closers.push(garbage.close);
    const server = await startServer();
    server.hello = false;
    const { source, sink, metrics } = startSource();
    const queue = server.queue(0);
    const key = notifierKey(crypto, server, queue);
    source.follow({ ...queue, server: { ...queue.server, port: String(garbage.port) } }, key, 0);
    source.follow(server.queue(1), key, 1);
    while (server.connections.length === 0) await sleepTurn();
    server.last.raw(new Uint8Array(16_384).fill(0xff));
    await sink.until(() => sink.count('inactive') === 2);
    assert.equal(metrics.count('smp_connects_total', 'unreachable'), 1);
    assert.equal(metrics.count('smp_connects_total', 'handshake'), 1);
  });

  test('a block that does not decrypt ends the connection, and the next one serves', async () => {
    const server = await startServer();
    const { source, sink, metrics } = startSource();
    follow(source, server, 3);
    await sink.until(() => sink.count('active') === 3);
    server.last.raw(new Uint8Array(16_384));
    await sink.until(() => sink.missed.length === 3);
    assert.equal(sink.count('active'), 3);
    assert.equal(metrics.count('smp_disconnects_total', 'protocol'), 1);
  });

  for (const host of ['localhost', '127.1', '2130706433', '0x7f000001']) {
    test(`a name that resolves to a forbidden address only: AUTH, and nothing is dialled (${host})`, async () => {
      const server = await startServer();
      const { source, sink, metrics } = startSource({ allow: [] });
      const queue = server.queue(0, [host]);
      source.follow(queue, notifierKey(crypto, server, queue), 0);
      await sink.until(() => sink.last(0) === 'auth');
      assert.equal(metrics.count('smp_connects_total', 'forbidden'), 1);
      assert.equal(server.connections.length, 0);
    });
  }

  /** Dials a name that no resolver knows; returns the names that were asked for. */
  async function askedFor(host: string): Promise<string[]> {
    const server = await startServer();
    const asked: string[] = [];
    const resolve: Resolve = (name, _options, done) => {
      asked.push(name);
      done(new Error('no such name'), []);
    };
    const open = tlsOpener({ guard: new AddressGuard(), alpn: SMP_ALPN, resolve });
    const { port, keyHash } = server.queue(0).server;
    const target = { host, port: Number(port), keyHash };
    await assert.rejects(open(target, new AbortController().signal), /no such name|needs a proxy/);
    assert.equal(server.connections.length, 0);
    return asked;
  }

  for (const host of ['[127.0.0.1x', '[]', '[127.0.0.1', '127.0.0.1]']) {
    test(`a name that only looks like an address goes to the resolver as it is (${host})`, async () => {
      assert.deepEqual(await askedFor(host), [host]);
    });
  }

  test('an onion name in any spelling goes to no resolver', async () => {
    for (const host of ['abc.onion', 'ABC.Onion', 'abc.onion.', '.onion']) {
      assert.deepEqual(await askedFor(host), [], host);
    }
  });

  test('an onion host is not looked up', async () => {
    const server = await startServer();
    const { source, sink, metrics } = startSource();
    const queue = server.queue(0, ['abc.onion']);
    source.follow(queue, notifierKey(crypto, server, queue), 0);
    await sink.until(() => sink.last(0) === 'inactive');
    const both = server.queue(1, ['abc.onion', 'localhost']);
    source.follow(both, notifierKey(crypto, server, both), 1);
    await sink.until(() => sink.last(1) === 'active');
    assert.equal(metrics.count('smp_connections'), 1);
  });
});

const sleepTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
