/** Addresses come from clients: servers that mean ill must cost those of everybody else nothing. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { createIdentity } from '../../shared/crypto/x509.js';
import type { SmpQueue } from '../../shared/smp/address.js';
import { native as crypto } from '../support/crypto.js';
import { FakeSmp, startDeafServer } from '../support/fake-smp.js';
import { notifierKey, smpSource } from '../support/smp-source.js';

const HONEST = 0;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startServer(
  options: Partial<ConstructorParameters<typeof FakeSmp>[0]> = {},
): Promise<FakeSmp> {
  const server = new FakeSmp({ crypto, ...options });
  server.checks = true;
  await server.listen();
  closers.push(() => server.close());
  return server;
}

/** A source that follows a queue of an honest server under ref 0. */
async function rig() {
  const honest = await startServer();
  const made = smpSource(crypto);
  closers.push(() => made.source.close());
  const follow = (server: FakeSmp, n: number, ref: number, queue: SmpQueue = server.queue(n)): void => {
    const key = notifierKey(crypto, server, queue);
    assert.ok('handle' in made.source.follow(queue, key, ref));
  };
  follow(honest, 7, HONEST);
  await made.sink.until(() => made.sink.last(HONEST) === 'active');
  /** The honest server's signals still arrive, and nothing was ever said of its queue but that it is active. */
  const assertUnharmed = async (): Promise<void> => {
    const heard = () => made.sink.signals.filter(({ ref }) => ref === HONEST).length;
    const before = heard();
    honest.last.notify(honest.queue(7).notifierId);
    await made.sink.until(() => heard() === before + 1);
    assert.deepEqual(made.sink.statuses.get(HONEST), ['pending', 'active']);
    assert.deepEqual(made.sink.missed, []);
    assert.equal(honest.connections.length, 1);
  };
  return { honest, follow, assertUnharmed, ...made };
}

/** A queue at this port of this machine. */
const queueAt = (port: number, n: number): SmpQueue => ({
  server: { hosts: ['localhost'], port: String(port), keyHash: new Uint8Array(32).fill(n) },
  notifierId: new Uint8Array(24).fill(n),
});

const someKey = () => ({ algorithm: 'ed25519', raw: crypto.randomBytes(32) }) as const;

describe('hostile servers', () => {
  test('fifty that accept and never answer do not keep a new honest one waiting', async () => {
    const deaf = await startDeafServer();
    closers.push(() => deaf.close());
    const { source, sink, follow, assertUnharmed } = await rig();
    for (let n = 1; n <= 50; n++) source.follow(queueAt(deaf.port, n), someKey(), n);
    const other = await startServer();
    follow(other, 1, 99);
    await sink.until(() => sink.last(99) === 'active');
    assert.equal(sink.last(1), undefined, 'still being tried');
    await assertUnharmed();
  });

  test('garbage before TLS, instead of a hello, instead of a block', async () => {
    const noise = await startDeafServer(crypto.randomBytes(40_000));
    closers.push(() => noise.close());
    const { source, sink, follow, assertUnharmed, metrics } = await rig();
    source.follow(queueAt(noise.port, 1), someKey(), 1);
    const [mute, mad] = [await startServer(), await startServer()];
    mute.hello = false;
    follow(mute, 2, 2);
    follow(mad, 3, 3);
    await sink.until(() => sink.last(3) === 'active' && mute.connections.length > 0);
    mute.last.raw(crypto.randomBytes(16_384));
    mad.close();
    mad.hello = false;
    mad.last.raw(crypto.randomBytes(16_384));
    await sink.until(() => [1, 2, 3].every((ref) => sink.last(ref) === 'inactive'));
    assert.ok(metrics.count('smp_connects_total', 'unreachable') >= 1);
    assert.deepEqual(
      sink.missed.filter((ref) => ref !== 3),
      [],
    );
    await assertUnharmed();
  });

  test('events of queues that are not its own, the honest server’s among them', async () => {
    const { honest, sink, follow, assertUnharmed, metrics } = await rig();
    const bad = await startServer();
    follow(bad, 1, 1);
    await sink.until(() => sink.last(1) === 'active');
    const entityId = honest.queue(7).notifierId;
    const nmsg = { word: 'NMSG', nonce: new Uint8Array(24), metadata: new Uint8Array(144) } as const;
    const strangers = Array.from({ length: 5_000 }, () => ({
      message: nmsg,
      entityId: crypto.randomBytes(24),
    }));
    bad.last.send(
      { message: nmsg, entityId },
      { message: { word: 'END' }, entityId },
      { message: { word: 'DELD' }, entityId },
      ...strangers,
      { message: nmsg, entityId: bad.queue(1).notifierId },
    );
    await sink.until(() => sink.signals.length === 1);
    assert.equal(sink.signals[0]!.ref, 1);
    assert.equal(metrics.count('smp_dropped_signals_total', 'unknown'), 5_001);
    await assertUnharmed();
  });

  test('metadata that no server sends is dropped, the connection stays', async () => {
    const { sink, follow, assertUnharmed, metrics } = await rig();
    const bad = await startServer();
    follow(bad, 1, 1);
    await sink.until(() => sink.last(1) === 'active');
    const { notifierId } = bad.queue(1);
    for (let i = 0; i < 100; i++) bad.last.notify(notifierId, new Uint8Array(255));
    bad.last.notify(notifierId);
    await sink.until(() => sink.signals.length === 1);
    assert.equal(metrics.count('smp_dropped_signals_total', 'size'), 100);
    assert.equal(bad.connections.length, 1);
    await assertUnharmed();
  });

  test('the honest fingerprint at a dead host draws no queue there', async () => {
    const { honest, source, sink, follow, assertUnharmed } = await rig();
    const deaf = await startDeafServer();
    closers.push(() => deaf.close());
    const real = honest.queue(8);
    const lie = { ...real, server: { ...real.server, hosts: ['127.0.0.1'], port: String(deaf.port) } };
    source.follow(lie, someKey(), 1);
    const sameHost = { ...real, server: { ...real.server, hosts: ['elsewhere.invalid'] } };
    source.follow(sameHost, someKey(), 2);
    follow(honest, 9, 3);
    await sink.until(() => sink.last(3) === 'active' && sink.last(2) === 'inactive');
    assert.equal(sink.last(1), undefined);
    await assertUnharmed();
  });

  test('the honest server’s certificates without its key prove nothing, and learn nothing', async () => {
    const { honest, sink, follow, assertUnharmed, metrics } = await rig();
    const own = createIdentity({
      algorithm: 'ed25519',
      commonName: 'localhost',
      now: new Date('2026-01-01'),
    });
    const { caCert, fingerprint } = honest.identity;
    const thief = await startServer({ identity: { ...own, caCert, fingerprint } });
    follow(thief, 1, 1);
    await sink.until(() => sink.last(1) === 'inactive');
    assert.equal(metrics.count('smp_connects_total', 'identity'), 1);
    assert.equal(thief.last.version, 0, 'no client hello');
    await assertUnharmed();
  });

  test('answers that nobody waits for, and to everything the wrong one', async () => {
    const { sink, follow, assertUnharmed, metrics } = await rig();
    const bad = await startServer();
    bad.script = () => ({ word: 'SOKS', count: 2 ** 40, idsHash: new Uint8Array(16) });
    for (let n = 1; n <= 200; n++) follow(bad, n, n);
    await sink.until(() => sink.count('ERR SMP unexpected response') === 200);
    const corrId = crypto.randomBytes(24);
    bad.last.send(...Array.from({ length: 500 }, () => ({ message: { word: 'SOK' } as const, corrId })));
    bad.last.send({ message: { word: 'ENDS', count: 1, idsHash: new Uint8Array(16) } });
    await assertUnharmed();
    while (metrics.count('smp_answers_total', 'late') < 500) await new Promise((r) => setImmediate(r));
    assert.equal(metrics.count('smp_ignored_total'), 1);
  });
});
