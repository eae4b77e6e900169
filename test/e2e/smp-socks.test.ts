/** The SMP source through a SOCKS5 proxy, and who shares a connection. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { SmpSourceOptions } from '../../services/subscriber/sources/smp/source.js';
import { native as crypto } from '../support/crypto.js';
import { FakeSmp } from '../support/fake-smp.js';
import { newServiceIdentity } from '../support/service-identity.js';
import { notifierKey, smpSource } from '../support/smp-source.js';
import { type SocksServerOptions, startSocksServer } from '../support/socks-server.js';

const ONION = `${'a'.repeat(56)}.onion`;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server that the proxy knows under two names, and a source that has only the proxy. */
async function rig(options: Partial<SmpSourceOptions> = {}, socks: SocksServerOptions = {}) {
  const server = new FakeSmp({ crypto });
  await server.listen();
  const names = { 'smp.example': server.port, [ONION]: server.port };
  const proxy = await startSocksServer({ names, ...socks });
  closers.push(
    () => server.close(),
    () => proxy.close(),
  );
  const made = smpSource(crypto, { allow: [], proxy: { host: '127.0.0.1', port: proxy.port }, ...options });
  closers.push(() => made.source.close());
  const follow = (n: number, hosts: readonly string[], group?: number) => {
    const queue = server.queue(n, hosts);
    return made.source.follow(queue, notifierKey(crypto, server, queue), n, group);
  };
  return { server, proxy, follow, ...made };
}

describe('SMP through SOCKS5', () => {
  test('names and .onion hosts, resolved by the proxy', async () => {
    const { proxy, sink, follow } = await rig();
    follow(0, ['smp.example']);
    follow(1, [ONION]);
    await sink.until(() => sink.count('active') === 2);
    assert.deepEqual(proxy.requests.map(({ host }) => host).sort(), [ONION, 'smp.example']);
    assert.ok(proxy.requests.every(({ type, user }) => type === 'name' && user === undefined));
  });

  test('a spelling with both: the open name first', async () => {
    const { proxy, sink, follow } = await rig();
    follow(0, [ONION, 'smp.example']);
    await sink.until(() => sink.last(0) === 'active');
    assert.deepEqual(
      proxy.requests.map(({ host }) => host),
      ['smp.example'],
    );
  });

  test('a connection as a user goes the same way; isolated, on a way of its own', async () => {
    const { proxy, sink, follow, server, source } = await rig({ isolation: 'device' });
    follow(0, ['smp.example'], 1);
    await sink.until(() => sink.last(0) === 'active');
    const { signal } = new AbortController();
    for (const host of ['smp.example', ONION]) {
      const link = await source.open(server.queue(1, [host]).server, signal);
      link.transport.close();
    }
    const users = proxy.requests.map(({ user }) => user);
    assert.deepEqual([users.length, new Set(users).size], [3, 3]);
    const forbidden = server.queue(1, ['127.0.0.1']).server;
    await assert.rejects(source.open(forbidden, signal), { name: 'ForbiddenAddressError' });
    await assert.rejects(source.open(server.queue(1, ['localhost']).server, signal), {
      name: 'ForbiddenAddressError',
    });
    assert.equal(proxy.requests.length, 3);
  });

  for (const host of ['10.1.2.3', '127.0.0.1', '[::1]', '169.254.169.254']) {
    test(`a private address in clear is prohibited at once (${host})`, async () => {
      const { follow } = await rig();
      assert.deepEqual(follow(0, [host]), { refused: 'prohibited' });
    });
  }

  for (const host of [
    'localhost',
    'a.localhost',
    'LOCALHOST.',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1.',
    '0x',
  ]) {
    test(`what a resolver might take for this machine is never asked of the proxy (${host})`, async () => {
      const { proxy, sink, follow, metrics } = await rig();
      follow(0, [host]);
      await sink.until(() => sink.last(0) === 'auth');
      assert.equal(metrics.count('smp_connects_total', 'forbidden'), 1);
      assert.deepEqual(proxy.requests, []);
    });
  }

  test('an allowed private address goes through the proxy as well', async () => {
    const { proxy, sink, follow } = await rig({ allow: ['127.0.0.0/8'] });
    follow(0, ['127.0.0.1']);
    await sink.until(() => sink.last(0) === 'active');
    assert.equal(proxy.requests[0]!.type, 'v4');
  });

  test('a name that the proxy can’t reach is an unreachable server', async () => {
    const { sink, follow, metrics } = await rig();
    follow(0, ['other.example']);
    await sink.until(() => sink.last(0) === 'inactive');
    assert.equal(metrics.count('smp_connects_total', 'unreachable'), 1);
  });

  test('a fingerprint that is not the server’s gets nothing', async () => {
    const { server, source, sink, metrics } = await rig();
    const queue = server.queue(0, ['smp.example']);
    const key = notifierKey(crypto, server, queue);
    source.follow({ ...queue, server: { ...queue.server, keyHash: new Uint8Array(32) } }, key, 0);
    await sink.until(() => sink.last(0) === 'inactive');
    assert.equal(metrics.count('smp_connects_total', 'identity'), 1);
  });

  test('as a service', async () => {
    const { server, sink, follow } = await rig({ service: newServiceIdentity() });
    server.service = { serviceId: new Uint8Array(24).fill(1) };
    follow(0, ['smp.example']);
    await sink.until(() => sink.last(0) === 'active');
    assert.equal(server.connections.length, 1);
    assert.ok(server.last.service, 'the certificate went through the proxy');
  });
});

describe('isolation', () => {
  const ways = (proxy: { requests: readonly { user: string | undefined }[] }) =>
    new Set(proxy.requests.map(({ user }) => user));

  test('shared: one connection', async () => {
    const { server, sink, follow } = await rig();
    for (let n = 0; n < 6; n++) follow(n, ['smp.example'], n);
    await sink.until(() => sink.count('active') === 6);
    assert.equal(server.connections.length, 1);
  });

  test('device: one connection and one way for each group', async () => {
    const { server, proxy, sink, follow } = await rig({ isolation: 'device' });
    for (let n = 0; n < 6; n++) follow(n, ['smp.example'], n % 3);
    await sink.until(() => sink.count('active') === 6);
    assert.equal(server.connections.length, 3);
    assert.equal(ways(proxy).size, 3);
    assert.deepEqual(
      server.connections.map(({ subscribed }) => subscribed.length),
      [2, 2, 2],
    );
  });

  test('queue: one connection and one way for each', async () => {
    const { server, proxy, sink, source, follow } = await rig({ isolation: 'queue' });
    for (let n = 0; n < 6; n++) follow(n, ['smp.example'], 1);
    await sink.until(() => sink.count('active') === 6);
    assert.equal(server.connections.length, 6);
    assert.equal(ways(proxy).size, 6);
    assert.ok(
      source.knowsServer(server.queue(9, ['smp.example'])),
      'another queue there brings no new server',
    );
  });

  test('who comes back, comes back by the same way, and takes no other’s signals', async () => {
    const { server, proxy, sink, follow } = await rig({ isolation: 'device' });
    for (let n = 0; n < 2; n++) follow(n, ['smp.example'], n);
    await sink.until(() => sink.count('active') === 2);
    for (const connection of [...server.connections]) connection.cut();
    await sink.until(() => sink.missed.length === 2 && sink.count('active') === 2);
    assert.equal(proxy.requests.length, 4);
    assert.equal(ways(proxy).size, 2);
    server.last.notify(server.queue(0).notifierId);
    server.last.notify(server.queue(1).notifierId);
    await sink.until(() => sink.signals.length === 1);
  });

  test('the connection ends with its last queue, so that nobody else gets it', async () => {
    const { server, sink, source, follow } = await rig({ isolation: 'device' });
    const followed = follow(0, ['smp.example'], 1);
    await sink.until(() => sink.last(0) === 'active');
    source.unfollow((followed as { handle: number }).handle);
    follow(1, ['smp.example'], 1);
    await sink.until(() => sink.last(1) === 'active');
    assert.equal(server.connections.length, 2);
  });

  test('a proxy that takes no user names is not used', async () => {
    const { proxy, sink, follow, metrics } = await rig({ isolation: 'queue' }, { anonymous: true });
    follow(0, ['smp.example']);
    await sink.until(() => sink.last(0) === 'inactive');
    assert.ok(metrics.count('smp_connects_total', 'proxy') > 0);
    assert.deepEqual(proxy.requests, []);
  });

  test('not together with a service', async () => {
    await assert.rejects(rig({ isolation: 'queue', service: newServiceIdentity() }), RangeError);
  });
});
