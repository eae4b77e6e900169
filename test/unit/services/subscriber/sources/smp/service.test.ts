/** Sessions as a service on a virtual clock: what a reconnection asks for, and what happens when both sides differ. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NotifierKey } from '../../../../../../services/subscriber/sources/smp/source.js';
import { toHex } from '../../../../../../shared/encoding/bytes.js';
import { VirtualClock } from '../../../../../../shared/run/clock.js';
import type { ServerMessage } from '../../../../../../shared/smp/commands.js';
import type { ErrorType } from '../../../../../../shared/smp/errors.js';
import { native as crypto } from '../../../../../support/crypto.js';
import { FakeSmp } from '../../../../../support/fake-smp.js';
import { newServiceIdentity } from '../../../../../support/service-identity.js';
import { notifierKey, smpSource } from '../../../../../support/smp-source.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const SERVICE_ID = new Uint8Array(24).fill(0x53);
const OTHER_ID = new Uint8Array(24).fill(0x54);
const service = newServiceIdentity();

/** A source with a certificate, and a server that wants one; `count` queues are associated. */
async function setUp({ max = 20, count = 3 } = {}) {
  const clock = new VirtualClock();
  const server = new FakeSmp({ crypto, versions: { min: 6, max } });
  server.service = { serviceId: SERVICE_ID };
  server.checks = true;
  const { source, sink, metrics } = smpSource(crypto, { clock, dial: server.dial, service });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  const pass = async (ms: number): Promise<void> => {
    await settle();
    await clock.advance(ms);
    await settle();
  };
  const follow = (n: number, key?: NotifierKey): number => {
    const queue = server.queue(n);
    const followed = source.follow(queue, key ?? notifierKey(crypto, server, queue), n);
    assert.ok('handle' in followed);
    return followed.handle;
  };
  /** Cuts the connection and waits for the next one. */
  const reconnect = async (): Promise<void> => {
    const { last } = server;
    last.cut();
    for (let i = 0; i < 5 && server.last === last; i++) await pass(1000);
    await pass(100);
    assert.notEqual(server.last, last);
  };
  /** The same, but the server is away for a time: cheaper than a connection that stays up with its PINGs. */
  const reconnectAfter = async (ms: number): Promise<void> => {
    if (ms > 0) {
      server.refuse = new Error('refused');
      server.last.cut();
      await pass(ms);
      server.refuse = undefined;
      await pass(2 * MINUTE);
    } else await reconnect();
  };
  const handles = Array.from({ length: count }, (_, n) => follow(n));
  await pass(100);
  const statuses = () => handles.map((_, n) => sink.last(n));
  return { clock, server, source, sink, metrics, pass, follow, reconnect, reconnectAfter, handles, statuses };
}

const id = (server: FakeSmp, n: number): string => toHex(server.queue(n).notifierId);
const error = (e: ErrorType) => ({ word: 'ERR', error: e }) as const;
const all = <T>(value: T, count = 3): T[] => new Array<T>(count).fill(value);

describe('a session as a service', () => {
  test('NSUBs bear both signatures and associate their queues; nothing expected, no NSUBS', async () => {
    const { server, metrics, statuses } = await setUp();
    assert.ok(server.last.service);
    assert.equal(server.associated.size, 3);
    assert.deepEqual(server.last.services, []);
    assert.deepEqual(statuses(), all('active'));
    assert.equal(metrics.count('smp_associated_queues'), 3);
    assert.equal(metrics.count('smp_service_sessions_total', 'accepted'), 1);
  });

  test('87 of them fill a block', async () => {
    const { server } = await setUp({ count: 200 });
    assert.deepEqual(server.last.blocks, [87, 87, 26]);
  });

  test('X25519 and Ed448 keys cover the service as well', async () => {
    const { server, follow, sink, pass } = await setUp({ count: 0 });
    follow(0, notifierKey(crypto, server, server.queue(0), 'x25519'));
    follow(1, notifierKey(crypto, server, server.queue(1), 'ed448'));
    await pass(100);
    assert.deepEqual([sink.last(0), sink.last(1)], ['active', 'active']);
  });

  for (const max of [18, 20]) {
    test(`version ${max}: after a loss one NSUBS brings all back, and all are told that signals may be missing`, async () => {
      const { server, sink, reconnect, statuses, metrics } = await setUp({ max });
      await reconnect();
      assert.deepEqual(server.last.subscribed, []);
      assert.equal(server.last.services.length, 1);
      if (max === 20) assert.deepEqual(server.last.services[0], { ...server.contents(), word: 'NSUBS' });
      assert.deepEqual(statuses(), all('active'));
      assert.deepEqual(sink.statuses.get(0), ['pending', 'active', 'inactive', 'active']);
      assert.deepEqual(sink.missed.sort(), [0, 1, 2]);
      assert.equal(metrics.count('smp_service_answers_total', 'same'), 1);
    });
  }

  test('signals reach queues that this connection never asked for', async () => {
    const { server, sink, reconnect, pass } = await setUp();
    await reconnect();
    server.last.notify(server.queue(1).notifierId);
    await pass(100);
    assert.deepEqual(
      sink.signals.map(({ ref }) => ref),
      [1],
    );
  });

  test('a new queue beside them is asked for by itself', async () => {
    const { server, follow, pass, sink } = await setUp();
    server.last.cut();
    follow(7);
    await pass(2000);
    assert.deepEqual(server.last.subscribed, [id(server, 7)]);
    assert.equal(sink.last(7), 'active');
    assert.equal(server.associated.size, 4);
  });

  test('a queue whose SOK has no service, or another, is asked for by itself on the next connection', async () => {
    const { server, follow, reconnect, pass, statuses } = await setUp();
    const plain = id(server, 5);
    const foreign = id(server, 6);
    server.script = (asked, connection) => {
      if (asked === plain) return { word: 'SOK' };
      return asked === foreign ? { word: 'SOK', serviceId: OTHER_ID } : connection.subscribe(asked);
    };
    follow(5);
    follow(6);
    await pass(100);
    await reconnect();
    assert.deepEqual(server.last.subscribed.sort(), [plain, foreign].sort());
    assert.deepEqual(statuses(), all('active'));
  });

  test('what ends here is no longer expected: END, DELD, unfollowed, refused', async () => {
    const { server, source, handles, reconnect, pass, sink } = await setUp({ count: 5 });
    server.last.send(
      { message: { word: 'END' }, entityId: server.queue(0).notifierId },
      { message: { word: 'DELD' }, entityId: server.queue(1).notifierId },
    );
    await pass(100);
    source.unfollow(handles[2]!);
    for (const n of [0, 1, 2]) server.associated.delete(id(server, n));
    await reconnect();
    assert.equal(server.last.services[0]!.count, 2);
    assert.deepEqual(server.last.services[0]!.idsHash, server.contents().idsHash);
    assert.deepEqual([sink.last(0), sink.last(1), sink.last(3)], ['end', 'deleted', 'active']);
  });
});

describe('drift', () => {
  test('the server holds fewer: each is asked for once, and what is gone shows AUTH', async () => {
    const { server, reconnect, statuses, metrics, pass } = await setUp();
    server.associated.delete(id(server, 1));
    server.keys.delete(id(server, 1));
    await reconnect();
    await pass(30 * MINUTE);
    assert.equal(server.last.subscribed.length, 3, 'in blocks of their own, once');
    assert.deepEqual(server.last.blocks, [3]);
    assert.deepEqual(statuses(), ['active', 'auth', 'active']);
    assert.equal(metrics.count('smp_service_answers_total', 'fewer'), 1);
    await reconnect();
    assert.equal(metrics.count('smp_service_answers_total', 'same'), 1);
  });

  test('fewer on each connection: each is asked for on each connection', async () => {
    const { server, reconnect, statuses } = await setUp();
    server.serviceScript = () => ({ ...server.contents(), count: 1 });
    for (let i = 0; i < 3; i++) {
      await reconnect();
      assert.equal(server.last.subscribed.length, 3);
      assert.deepEqual(statuses(), all('active'));
    }
  });

  for (const [what, contents] of [
    ['more', { count: 9 }],
    ['different', { idsHash: new Uint8Array(16) }],
  ] as const) {
    test(`${what}: trusted, and each is asked for at most once a day`, async () => {
      const { server, reconnectAfter, statuses, metrics } = await setUp();
      server.serviceScript = () => ({ ...server.contents(), ...contents });
      const asked: number[] = [];
      for (const wait of [0, 0, DAY, 0, 0, DAY]) {
        await reconnectAfter(wait);
        asked.push(server.last.subscribed.length);
        assert.deepEqual(statuses(), all('active'));
      }
      assert.deepEqual(asked, [0, 0, 3, 0, 0, 3]);
      assert.equal(metrics.count('smp_service_answers_total', what), 6);
    });
  }

  test('version 20 and the same hash: never asked for one by one', async () => {
    const { server, reconnectAfter } = await setUp();
    await reconnectAfter(3 * DAY);
    assert.equal(server.last.services.length, 1);
    assert.deepEqual(server.last.subscribed, []);
  });

  test('version 18 has no hash: each is asked for once a day, and none shows another status meanwhile', async () => {
    const { server, sink, reconnect, reconnectAfter, pass } = await setUp({ max: 18 });
    await pass(DAY + 1000);
    assert.equal(server.last.subscribed.length, 3 + 3);
    assert.deepEqual(sink.statuses.get(0), ['pending', 'active']);
    assert.deepEqual(sink.missed, []);
    await reconnect();
    assert.deepEqual(server.last.subscribed, []);
    await reconnectAfter(DAY);
    assert.equal(server.last.subscribed.length, 3);
  });

  test('a loss in the middle of the daily check hides no lost signal', async () => {
    const { server, sink, pass, reconnect, statuses } = await setUp({ max: 18, count: 3000 });
    server.script = () => 'silence';
    await pass(DAY + 1000);
    assert.ok(server.last.held.length > 0 && server.last.held.length < 3000);
    server.script = (asked, connection) => connection.subscribe(asked);
    await reconnect();
    assert.equal(new Set(sink.missed).size, 3000);
    assert.deepEqual(statuses(), all('active', 3000));
  });

  for (const [what, answer] of [
    ['an error', error({ kind: 'SERVICE' })],
    ['another word', { word: 'OK' }],
    ['nothing', 'silence'],
  ] as const) {
    test(`${what} as the answer: each is asked for`, async () => {
      const { server, reconnect, statuses, metrics, pass } = await setUp();
      server.serviceScript = () => answer as ServerMessage | 'silence';
      await reconnect();
      await pass(31_000);
      assert.equal(server.last.subscribed.length, 3);
      assert.deepEqual(statuses(), all('active'));
      assert.equal(metrics.count('smp_service_answers_total', 'failed'), 1);
    });
  }

  test('the server forgot the service: another id, so each is asked for and belongs to it again', async () => {
    const { server, reconnect, statuses } = await setUp();
    server.service = { serviceId: OTHER_ID };
    server.associated.clear();
    await reconnect();
    assert.equal(server.last.services.length, 0);
    assert.equal(server.last.subscribed.length, 3);
    assert.equal(server.associated.size, 3);
    assert.deepEqual(statuses(), all('active'));
    await reconnect();
    assert.equal(server.last.services[0]!.count, 3);
    assert.deepEqual(server.last.subscribed, []);
  });
});

describe('falling back to an ordinary session, for a day', () => {
  for (const reason of ['BAD_SERVICE', 'BAD_AUTH'] as const) {
    test(`${reason}: at once, in the same attempt`, async () => {
      const { server, reconnect, reconnectAfter, statuses, metrics } = await setUp();
      server.service = { error: { kind: 'HANDSHAKE', reason } };
      await reconnect();
      assert.equal(server.last.service, undefined);
      assert.equal(server.last.subscribed.length, 3);
      assert.equal(server.associated.size, 0, 'its NSUBs end the associations');
      assert.deepEqual(statuses(), all('active'));
      assert.equal(metrics.count('smp_associated_queues'), 0);
      assert.equal(metrics.count('smp_service_sessions_total', 'refused'), 1);
      server.service = { serviceId: SERVICE_ID };
      await reconnect();
      assert.equal(server.last.service, undefined);
      await reconnectAfter(DAY);
      assert.ok(server.last.service);
      assert.equal(server.associated.size, 3);
    });
  }

  test('a server that says nothing to a certificate', async () => {
    const { server, statuses, pass } = await setUp();
    server.service = 'silence';
    server.last.cut();
    await pass(2000);
    await pass(15_000);
    await pass(100);
    assert.deepEqual(statuses(), all('active'));
    assert.equal(server.last.subscribed.length, 3);
  });

  test('SERVICE: once without the service, then it stays', async () => {
    const { server, follow, sink, pass, statuses } = await setUp();
    const bad = id(server, 8);
    server.script = (asked, connection) =>
      asked === bad ? error({ kind: 'SERVICE' }) : connection.subscribe(asked);
    follow(8);
    await pass(3000);
    assert.equal(server.connections.length, 2);
    assert.equal(server.last.service, undefined);
    assert.equal(server.last.subscribed.filter((asked) => asked === bad).length, 1);
    assert.equal(sink.last(8), 'service');
    assert.deepEqual(statuses(), all('active'));
  });

  test('SERVICE only as a service: active without', async () => {
    const { server, follow, sink, pass } = await setUp();
    server.script = (asked, connection) =>
      connection.service ? error({ kind: 'SERVICE' }) : connection.subscribe(asked);
    follow(8);
    await pass(3000);
    assert.equal(sink.last(8), 'active');
  });

  test('ENDS: the queues are taken back one by one, not the service', async () => {
    const { server, sink, pass, statuses, metrics } = await setUp();
    server.last.endService(SERVICE_ID);
    await pass(3000);
    assert.equal(server.connections.length, 2);
    assert.equal(server.last.service, undefined);
    assert.equal(server.last.subscribed.length, 3);
    assert.deepEqual(statuses(), all('active'));
    assert.deepEqual(sink.missed.sort(), [0, 1, 2]);
    assert.equal(metrics.count('smp_service_ended_total'), 1);
  });

  test('ENDS of another service, or in an ordinary session, is nothing', async () => {
    const { server, pass, metrics } = await setUp();
    server.last.endService(OTHER_ID);
    await pass(3000);
    assert.equal(server.connections.length, 1);
    assert.equal(metrics.count('smp_ignored_total'), 1);
  });

  for (const [what, versions, asks] of [
    ['below version 16', { min: 6, max: 15 }, true],
    ['by which no certificate is asked for', { min: 6, max: 18 }, false],
  ] as const) {
    test(`a server ${what} gets an ordinary session`, async () => {
      const clock = new VirtualClock();
      const server = new FakeSmp({ crypto, versions });
      if (asks) server.service = { serviceId: SERVICE_ID };
      const { source, sink } = smpSource(crypto, { clock, dial: server.dial, service });
      const queue = server.queue(0);
      source.follow(queue, notifierKey(crypto, server, queue), 0);
      await sink.until(() => sink.last(0) === 'active');
      assert.equal(server.last.service, undefined);
    });
  }
});
