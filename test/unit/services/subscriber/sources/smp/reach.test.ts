/** When a connection is worth an attempt: whose fault a failure is, and whether any queue could still be heard. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ForbiddenAddressError } from '../../../../../../services/subscriber/sources/smp/address-guard.js';
import { HandshakeError } from '../../../../../../services/subscriber/sources/smp/connector.js';
import { failureOf } from '../../../../../../services/subscriber/sources/smp/dial-outcome.js';
import { IdentityError } from '../../../../../../services/subscriber/sources/smp/identity.js';
import { VirtualClock } from '../../../../../../shared/run/clock.js';
import { SocksError } from '../../../../../../shared/run/socks5.js';
import type { ErrorType } from '../../../../../../shared/smp/errors.js';
import { native as crypto } from '../../../../../support/crypto.js';
import { FakeSmp } from '../../../../../support/fake-smp.js';
import { notifierKey, smpSource } from '../../../../../support/smp-source.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function setUp() {
  const clock = new VirtualClock();
  const server = new FakeSmp({ crypto });
  const { source, sink, metrics } = smpSource(crypto, { clock, dial: server.dial });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  const pass = async (ms: number): Promise<void> => {
    await settle();
    await clock.advance(ms);
    await settle();
  };
  const follow = (n: number): number => {
    const queue = server.queue(n);
    const followed = source.follow(queue, notifierKey(crypto, server, queue), n);
    assert.ok('handle' in followed);
    return followed.handle;
  };
  /** Passes the time in steps, so that what falls due in between is worked off. */
  const live = async (ms: number, step = MINUTE): Promise<void> => {
    for (let left = ms; left > 0; left -= step) await pass(Math.min(step, left));
  };
  return { clock, server, source, sink, metrics, pass, follow, live };
}

const systemError = (code: string): Error => Object.assign(new Error(code), { code });
const error = (e: ErrorType) => ({ word: 'ERR', error: e }) as const;

describe('what a failure says', () => {
  const failures: readonly [unknown, string][] = [
    [new ForbiddenAddressError(), 'forbidden'],
    [new IdentityError('fingerprint'), 'identity'],
    [new HandshakeError('closed'), 'handshake'],
    [new SocksError('proxy'), 'proxy'],
    [new SocksError('auth'), 'proxy'],
    [new SocksError('target'), 'unreachable'],
    ...['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EAI_AGAIN'].map(
      (code): [Error, string] => [systemError(code), 'offline'],
    ),
    ...['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND', 'EPROTO'].map((code): [Error, string] => [
      systemError(code),
      'unreachable',
    ]),
    [new AggregateError([systemError('ENETUNREACH'), systemError('EHOSTUNREACH')]), 'offline'],
    [new AggregateError([systemError('ENETUNREACH'), systemError('ECONNREFUSED')]), 'unreachable'],
    [new AggregateError([]), 'unreachable'],
    [new Error('closed'), 'unreachable'],
    [undefined, 'unreachable'],
  ];
  for (const [failure, word] of failures) {
    test(`${failure instanceof Error ? `${failure.name} ${failure.message}` : failure}: ${word}`, () => {
      assert.equal(failureOf(failure), word);
    });
  }
});

describe('our own network away at the first contact', () => {
  test('is tried again within seconds, and the queues come to life with it', async () => {
    const { server, sink, metrics, follow, live, pass } = setUp();
    server.refuse = systemError('EAI_AGAIN');
    follow(0);
    await live(3 * MINUTE, SECOND);
    assert.equal(sink.last(0), 'inactive');
    assert.ok(server.dials.length >= 6 && server.dials.length <= 40, String(server.dials.length));
    server.refuse = undefined;
    await pass(MINUTE + SECOND);
    assert.equal(sink.last(0), 'active');
    assert.equal(metrics.count('smp_connects_total', 'offline') + 1, server.dials.length);
    assert.equal(metrics.count('smp_given_up_total'), 0);
  });

  test('is not believed for ever: hourly after ten minutes, given up after a day', async () => {
    const { server, metrics, follow, live } = setUp();
    server.refuse = systemError('ENETUNREACH');
    follow(0);
    await live(10 * MINUTE, SECOND);
    const soon = server.dials.length;
    assert.ok(soon >= 10 && soon <= 60, String(soon));
    await live(10 * HOUR);
    assert.ok(server.dials.length - soon <= 12, String(server.dials.length - soon));
    await live(3 * DAY);
    assert.equal(metrics.count('smp_given_up_total'), 1);
    assert.ok(server.dials.length - soon <= 27, String(server.dials.length - soon));
  });

  test('excuses nothing else: a refusal in between is hourly at once', async () => {
    const { server, follow, live } = setUp();
    server.refuse = systemError('ENETUNREACH');
    follow(0);
    await live(10 * SECOND, SECOND);
    server.refuse = systemError('ECONNREFUSED');
    await live(MINUTE, SECOND);
    const before = server.dials.length;
    await live(50 * MINUTE);
    assert.equal(server.dials.length, before);
  });
});

describe('a server that was reached before', () => {
  const connected = async () => {
    const world = setUp();
    world.follow(0);
    await world.live(MINUTE, SECOND);
    assert.equal(world.sink.last(0), 'active');
    return world;
  };

  test('is dialled at once when its connection is cut, and with pauses where that was in vain', async () => {
    const { server, pass, sink } = await connected();
    server.last.cut();
    await pass(1);
    assert.deepEqual([server.dials.length, sink.last(0)], [2, 'active']);
    server.last.cut();
    await pass(400);
    assert.equal(server.dials.length, 2);
    await pass(700);
    assert.deepEqual([server.dials.length, sink.last(0)], [3, 'active']);
  });

  for (const outage of [3 * SECOND, 20 * SECOND, MINUTE, 5 * MINUTE, 2 * HOUR]) {
    test(`is back soon after ${outage / SECOND} s`, async () => {
      const { server, live, sink } = await connected();
      server.refuse = systemError('ECONNREFUSED');
      server.last.cut();
      await live(outage, outage > HOUR ? MINUTE : SECOND);
      const { length } = server.dials;
      assert.ok(length <= 2 + outage / SECOND && length <= 60 + outage / (30 * SECOND), String(length));
      server.refuse = undefined;
      await live(Math.min(MINUTE, SECOND + outage / 7), SECOND);
      assert.equal(sink.last(0), 'active');
    });
  }
});

describe('a server where nothing can be heard any more', () => {
  /** Queues 0 and 1, active. */
  async function two() {
    const made = setUp();
    made.follow(0);
    made.follow(1);
    await made.pass(0);
    assert.equal(made.sink.count('active'), 2);
    return made;
  }
  const ends = {
    END: { word: 'END' },
    DELD: { word: 'DELD' },
  } as const;

  for (const [word, message] of Object.entries(ends)) {
    test(`all its queues have had ${word}: closed after a minute, and not dialled again`, async () => {
      const { server, sink, metrics, pass, live } = await two();
      server.last.send({ message, entityId: server.queue(0).notifierId });
      await live(5 * MINUTE);
      assert.ok(server.last.alive, 'one queue is left');
      server.last.send({ message, entityId: server.queue(1).notifierId });
      await pass(59 * SECOND);
      assert.ok(server.last.alive);
      await pass(SECOND);
      assert.ok(!server.last.alive);
      await live(2 * DAY, HOUR);
      assert.equal(server.dials.length, 1);
      assert.equal(metrics.count('smp_connections'), 0);
      assert.equal(metrics.count('smp_servers'), 1);
      assert.equal(sink.count(word === 'END' ? 'end' : 'deleted'), 2);
      assert.deepEqual(sink.missed, []);
    });
  }

  test('whatever the server goes on saying: closed after the minute', async () => {
    const { server, pass, live } = await two();
    const deleted = (n: number): void =>
      server.last.send({ message: ends.DELD, entityId: server.queue(n).notifierId });
    for (const n of [0, 1]) deleted(n);
    await pass(40 * SECOND);
    deleted(0);
    await pass(21 * SECOND);
    assert.ok(!server.last.alive);
    await live(DAY, HOUR);
    assert.equal(server.dials.length, 1);
  });

  test('AUTH for all: the same', async () => {
    const { server, sink, pass, follow, live } = setUp();
    server.script = () => error({ kind: 'AUTH' });
    follow(0);
    await pass(0);
    assert.equal(sink.last(0), 'auth');
    await live(2 * DAY, HOUR);
    assert.ok(!server.last.alive);
    assert.equal(server.dials.length, 1);
  });

  test('lost before the minute is over, it is not dialled again either', async () => {
    const { server, pass, live } = await two();
    for (const n of [0, 1]) server.last.send({ message: ends.DELD, entityId: server.queue(n).notifierId });
    await pass(0);
    server.last.cut();
    await live(2 * DAY, HOUR);
    assert.equal(server.dials.length, 1);
  });

  test('followed again it is dialled at once, and known all the while', async () => {
    const { server, source, sink, pass, follow, live } = await two();
    for (const n of [0, 1]) server.last.send({ message: ends.END, entityId: server.queue(n).notifierId });
    await live(HOUR);
    assert.ok(!server.last.alive);
    assert.ok(source.knowsServer(server.queue(2)));
    follow(2);
    await pass(0);
    assert.equal(sink.last(2), 'active');
    assert.equal(server.dials.length, 2);
    assert.deepEqual(server.last.blocks, [1], 'the ended ones are not asked for');
    await live(HOUR);
    assert.ok(server.last.alive);
    server.last.notify(server.queue(2).notifierId);
    await pass(0);
    assert.deepEqual(
      sink.signals.map(({ ref }) => ref),
      [2],
    );
  });

  test('within the minute the connection serves the next queue', async () => {
    const { server, sink, pass, follow, live } = await two();
    for (const n of [0, 1]) server.last.send({ message: ends.END, entityId: server.queue(n).notifierId });
    await pass(30 * SECOND);
    follow(2);
    await live(HOUR);
    assert.equal(sink.last(2), 'active');
    assert.equal(server.dials.length, 1);
  });

  test('the last live queue unfollowed beside ended ones: the same; all unfollowed: forgotten', async () => {
    const { server, source, metrics, pass, follow, live } = setUp();
    const handles = [follow(0), follow(1)];
    await pass(0);
    server.last.send({ message: ends.END, entityId: server.queue(0).notifierId });
    await pass(0);
    source.unfollow(handles[1]!);
    await live(2 * MINUTE);
    assert.ok(!server.last.alive);
    assert.equal(metrics.count('smp_servers'), 1);
    source.unfollow(handles[0]!);
    await live(2 * MINUTE);
    assert.equal(metrics.count('smp_servers'), 0);
    assert.equal(server.dials.length, 1);
    follow(3);
    await pass(0);
    assert.equal(metrics.count('smp_servers'), 1);
  });

  test('other errors keep it: they are asked again daily', async () => {
    const { server, sink, pass, follow, live } = setUp();
    server.script = () => error({ kind: 'QUOTA' });
    follow(0);
    await live(23 * HOUR, HOUR / 4);
    assert.ok(server.last.alive);
    assert.equal(server.last.subscribed.length, 1);
    server.script = (id, connection) => connection.subscribe(id);
    await live(2 * HOUR, HOUR / 4);
    assert.equal(sink.last(0), 'active');
    server.last.cut();
    await pass(2 * SECOND);
    assert.equal(sink.last(0), 'active');
  });

  test('temporary failures keep it, and those that are in flight', async () => {
    const { server, sink, follow, live } = setUp();
    server.script = () => error({ kind: 'INTERNAL' });
    follow(0);
    await live(3 * HOUR, 5 * MINUTE);
    assert.ok(server.last.alive);
    assert.equal(server.dials.length, 1);
    server.script = () => 'silence';
    await live(25 * SECOND, SECOND);
    assert.ok(server.last.alive);
    server.script = (id, connection) => connection.subscribe(id);
    await live(30 * MINUTE);
    assert.equal(sink.last(0), 'active');
  });
});
