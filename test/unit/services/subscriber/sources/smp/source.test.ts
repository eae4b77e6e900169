/** The SMP source on a virtual clock, against servers in memory: hours of retries in milliseconds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ForbiddenAddressError } from '../../../../../../services/subscriber/sources/smp/address-guard.js';
import type {
  NotifierKey,
  SmpSourceOptions,
} from '../../../../../../services/subscriber/sources/smp/source.js';
import type { Dial } from '../../../../../../services/subscriber/sources/smp/transport.js';
import { toHex } from '../../../../../../shared/encoding/bytes.js';
import { VirtualClock } from '../../../../../../shared/run/clock.js';
import { SocksError } from '../../../../../../shared/run/socks5.js';
import type { ErrorType } from '../../../../../../shared/smp/errors.js';
import { native as crypto } from '../../../../../support/crypto.js';
import { FakeSmp } from '../../../../../support/fake-smp.js';
import { notifierKey, smpSource } from '../../../../../support/smp-source.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A source, a server and a clock that stands still until told. */
function setUp(options: Partial<SmpSourceOptions> = {}, dialer = (server: FakeSmp): Dial => server.dial) {
  const clock = new VirtualClock();
  const server = new FakeSmp({ crypto });
  const { source, sink, metrics } = smpSource(crypto, { clock, dial: dialer(server), ...options });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  const pass = async (ms: number): Promise<void> => {
    await settle();
    await clock.advance(ms);
    await settle();
  };
  const follow = (n: number, key?: NotifierKey, ref = n): number => {
    const queue = server.queue(n);
    const followed = source.follow(queue, key ?? notifierKey(crypto, server, queue), ref);
    assert.ok('handle' in followed);
    return followed.handle;
  };
  return { clock, server, source, sink, metrics, settle, pass, follow };
}

const error = (e: ErrorType) => ({ word: 'ERR', error: e }) as const;
const randomKey = (): NotifierKey => ({ algorithm: 'ed25519', raw: crypto.randomBytes(32) });

describe('answers to NSUB', () => {
  for (const temporary of [{ kind: 'INTERNAL' }, { kind: 'STORE', text: 'x' }] as const) {
    test(`${temporary.kind} changes no status and is tried again, 1 s to 10 min`, async () => {
      const { server, sink, pass, follow } = setUp();
      const asked: number[] = [];
      let elapsed = 0;
      server.script = () => {
        asked.push(elapsed);
        return error(temporary);
      };
      follow(0);
      for (; elapsed < 40 * 60; elapsed++) await pass(1000);
      const gaps = asked.slice(1).map((at, i) => at - asked[i]!);
      const bounds = [1, 4, 16, 60, 240, 600, 600];
      for (const [i, gap] of gaps.entries()) {
        const most = bounds[i] ?? 600;
        assert.ok(gap >= most / 2 - 1 && gap <= most + 1, `${gap} of ${most}`);
      }
      assert.ok(gaps.length >= 7);
      assert.deepEqual(sink.statuses.get(0), ['pending']);
      server.script = () => ({ word: 'SOK' });
      await pass(601_000);
      assert.equal(sink.last(0), 'active');
    });
  }

  test('AUTH and SERVICE are final', async () => {
    const { server, sink, pass, follow } = setUp();
    server.script = (id) => error({ kind: id.endsWith('1') ? 'AUTH' : 'SERVICE' });
    follow(1);
    follow(2);
    await pass(2 * DAY);
    assert.deepEqual([sink.last(1), sink.last(2)], ['auth', 'service']);
    assert.equal(server.last.subscribed.length, 2);
  });

  test('other errors show a word of our own, are tried again daily and on the next connection', async () => {
    const { server, sink, pass, follow } = setUp();
    server.script = () => error({ kind: 'CMD', reason: 'PROHIBITED' });
    follow(0);
    await pass(1000);
    assert.equal(sink.last(0), 'ERR SMP error CMD PROHIBITED');
    await pass(DAY - 2000);
    assert.equal(server.last.subscribed.length, 1);
    await pass(2000);
    assert.equal(server.last.subscribed.length, 2);
    server.script = () => ({ word: 'SOK' });
    server.last.cut();
    await pass(2000);
    assert.equal(sink.last(0), 'active');
  });

  test('an answer that makes no sense is no success', async () => {
    const { server, sink, pass, follow } = setUp();
    server.script = (id) =>
      id.endsWith('1') ? { word: 'PONG' } : error({ kind: 'BLOCKED', reason: 'spam' });
    follow(1);
    follow(2);
    await pass(100);
    assert.equal(sink.last(1), 'ERR SMP unexpected response');
    assert.equal(sink.last(2), 'ERR SMP error BLOCKED');
  });

  test('a success for another queue is no success', async () => {
    const { server, sink, pass, follow } = setUp();
    server.script = () => 'silence';
    follow(1);
    await pass(100);
    const [request] = server.last.held;
    server.last.send({
      message: { word: 'SOK' },
      corrId: request!.corrId,
      entityId: server.queue(2).notifierId,
    });
    await pass(100);
    assert.equal(sink.last(1), 'ERR SMP unexpected response');
  });

  test('no answer within 30 s is temporary; the late one is ignored', async () => {
    const { server, sink, metrics, pass, follow } = setUp();
    server.script = () => 'silence';
    follow(0);
    await pass(29_900);
    assert.equal(metrics.count('smp_answers_total', 'temporary'), 0);
    await pass(150);
    assert.equal(metrics.count('smp_answers_total', 'temporary'), 1);
    server.last.answer(server.last.held[0]!, error({ kind: 'AUTH' }));
    await pass(100);
    assert.equal(metrics.count('smp_answers_total', 'late'), 1);
    assert.deepEqual(sink.statuses.get(0), ['pending']);
    server.script = () => ({ word: 'SOK' });
    await pass(2000);
    assert.equal(sink.last(0), 'active');
  });
});

describe('who owns a queue', () => {
  test('an unconfirmed entry keeps no one out', async () => {
    const { server, sink, pass, follow } = setUp();
    server.checks = true;
    const key = notifierKey(crypto, server, server.queue(0));
    follow(0, randomKey(), 100);
    follow(0, key, 101);
    follow(0, randomKey(), 102);
    await pass(100);
    assert.deepEqual(
      [100, 101, 102].map((ref) => sink.last(ref)),
      ['auth', 'active', 'auth'],
    );
    server.last.notify(server.queue(0).notifierId);
    await pass(100);
    assert.deepEqual(
      sink.signals.map((s) => s.ref),
      [101],
    );
  });

  test('it belongs to the first entry whose NSUB succeeded, until that one goes', async () => {
    const { server, source, sink, pass, follow } = setUp();
    const key = notifierKey(crypto, server, server.queue(0));
    const first = follow(0, key, 1);
    await pass(100);
    follow(0, key, 2);
    await pass(100);
    assert.deepEqual([sink.last(1), sink.last(2)], ['active', 'auth']);
    source.unfollow(first);
    follow(0, key, 3);
    await pass(100);
    assert.equal(sink.last(3), 'active');
  });

  test('the answer to an unfollowed NSUB reaches nobody else', async () => {
    const { server, source, sink, pass, follow } = setUp();
    server.script = () => 'silence';
    const gone = follow(0, randomKey(), 1);
    await pass(100);
    source.unfollow(gone);
    const next = follow(0, randomKey(), 2);
    await pass(100);
    assert.notEqual(next, gone, 'the row waits for its answer');
    const [first, second] = server.last.held;
    server.last.answer(first!, { word: 'SOK' });
    await pass(100);
    assert.equal(sink.last(2), 'pending');
    server.last.answer(second!, { word: 'SOK' });
    await pass(100);
    assert.equal(sink.last(2), 'active');
    assert.equal(follow(5), gone, 'and is given out again afterwards');
  });

  test('the same id at another server is another queue', async () => {
    const other = new FakeSmp({ crypto });
    const { server, source, sink, pass } = setUp({}, (one) => (options, signal) => {
      return (options.host === 'other' ? other : one).dial(options, signal);
    });
    source.follow(server.queue(0), randomKey(), 1);
    source.follow(other.queue(0, ['other']), randomKey(), 2);
    await pass(100);
    other.last.notify(other.queue(0).notifierId);
    await pass(100);
    assert.deepEqual(
      sink.signals.map((s) => s.ref),
      [2],
    );
  });
});

describe('signals and events', () => {
  test('of unknown queues and of senseless size are dropped and counted', async () => {
    const { server, sink, metrics, pass, follow } = setUp();
    follow(0);
    await pass(100);
    server.last.notify(server.queue(1).notifierId);
    server.last.notify(server.queue(0).notifierId, new Uint8Array(201));
    server.last.notify(server.queue(0).notifierId, new Uint8Array(200));
    await pass(100);
    assert.equal(sink.signals.length, 1);
    assert.equal(metrics.count('smp_dropped_signals_total', 'unknown'), 1);
    assert.equal(metrics.count('smp_dropped_signals_total', 'size'), 1);
    assert.equal(metrics.count('smp_signals_total'), 1);
  });

  describe('that overtake the answer to NSUB', () => {
    /** Queue 0 is asked for, and two signals came; the server says nothing to any NSUB. */
    async function overtaken(key?: NotifierKey) {
      const rig = setUp();
      rig.server.script = () => 'silence';
      const handle = rig.follow(0, key);
      await rig.pass(100);
      const { notifierId } = rig.server.queue(0);
      for (const n of [1, 2]) rig.server.last.notify(notifierId, new Uint8Array(144).fill(n));
      await rig.pass(100);
      assert.equal(rig.sink.signals.length, 0);
      return { ...rig, handle, notifierId };
    }
    const told = ({ sink }: ReturnType<typeof setUp>) => sink.signals.map((s) => [s.ref, s.metadata[0]]);

    test('are told once it has come, the latest of a queue', async () => {
      const rig = await overtaken();
      rig.server.last.answer(rig.server.last.held[0]!, { word: 'SOK' });
      await rig.pass(100);
      assert.equal(rig.sink.last(0), 'active');
      assert.deepEqual(told(rig), [[0, 2]]);
      assert.deepEqual(rig.sink.missed, []);
      assert.equal(rig.metrics.count('smp_dropped_signals_total', 'unknown'), 0);
    });

    test('are told to nobody where it is a refusal', async () => {
      const rig = await overtaken(randomKey());
      rig.server.last.answer(rig.server.last.held[0]!, error({ kind: 'AUTH' }));
      await rig.pass(100);
      rig.server.script = () => ({ word: 'SOK' });
      rig.follow(0, undefined, 1);
      await rig.pass(100);
      assert.deepEqual([rig.sink.last(0), rig.sink.last(1)], ['auth', 'active']);
      assert.deepEqual(told(rig), []);
    });

    test('are told after a temporary failure, and after a lost connection, which may have taken others', async () => {
      for (const isLost of [false, true]) {
        const rig = await overtaken();
        if (isLost) rig.server.last.cut();
        else rig.server.last.answer(rig.server.last.held[0]!, error({ kind: 'INTERNAL' }));
        rig.server.script = () => ({ word: 'SOK' });
        await rig.pass(2000);
        assert.deepEqual(told(rig), [[0, 2]]);
        assert.deepEqual(rig.sink.missed, isLost ? [0] : []);
      }
    });

    test('are not told of another queue that has the row by then', async () => {
      const rig = await overtaken();
      rig.server.last.cut();
      await rig.settle();
      rig.source.unfollow(rig.handle);
      rig.server.script = () => ({ word: 'SOK' });
      assert.equal(rig.follow(5), rig.handle);
      await rig.pass(2000);
      assert.equal(rig.sink.last(5), 'active');
      assert.deepEqual(told(rig), []);
    });
  });

  test('signals that came for an entry are told even while it is asked for again', async () => {
    const { server, sink, pass, follow } = setUp();
    follow(0);
    await pass(100);
    server.script = () => 'silence';
    server.last.cut();
    await pass(2000);
    server.last.notify(server.queue(0).notifierId);
    await pass(100);
    assert.equal(sink.signals.length, 1);
  });

  test('END is final, but not for what has been asked for again since; DELD always counts', async () => {
    const { server, sink, pass, follow } = setUp();
    const ids = [0, 1, 2].map((n) => server.queue(n).notifierId);
    for (const n of [0, 1, 2]) follow(n);
    await pass(100);
    server.last.send({ message: { word: 'END' }, entityId: ids[0]! });
    await pass(100);
    server.script = () => 'silence';
    server.last.cut();
    await pass(2000);
    assert.deepEqual(server.last.subscribed.sort(), [toHex(ids[1]!), toHex(ids[2]!)]);
    server.last.send(
      { message: { word: 'END' }, entityId: ids[1]! },
      { message: { word: 'DELD' }, entityId: ids[2]! },
    );
    await pass(100);
    assert.deepEqual(
      [0, 1, 2].map((n) => sink.last(n)),
      ['end', 'inactive', 'deleted'],
    );
    for (const request of server.last.held) server.last.answer(request, { word: 'SOK' });
    await pass(100);
    assert.deepEqual(
      [0, 1, 2].map((n) => sink.last(n)),
      ['end', 'active', 'deleted'],
    );
  });

  test('nonsense is ignored and counted', async () => {
    const { server, metrics, sink, pass, follow } = setUp();
    follow(0);
    await pass(100);
    server.last.send(
      { message: { word: 'OK' } },
      { message: error({ kind: 'BLOCK' }) },
      { message: { word: 'END' }, entityId: new Uint8Array(3) },
      { message: { word: 'DELD' } },
    );
    await pass(100);
    assert.equal(metrics.count('smp_ignored_total'), 2);
    assert.equal(sink.last(0), 'active');
  });
});

describe('the connection', () => {
  test('PING after 30 s of silence, dead after 15 s more, then all comes back', async () => {
    const { server, sink, metrics, pass, follow } = setUp();
    server.pongs = false;
    follow(0);
    await pass(29_000);
    assert.equal(server.last.pings, 0);
    await pass(2000);
    assert.equal(server.last.pings, 1);
    await pass(13_000);
    assert.equal(sink.last(0), 'active');
    await pass(2000);
    assert.equal(metrics.count('smp_disconnects_total', 'silent'), 1);
    await pass(1000);
    assert.deepEqual(sink.statuses.get(0), ['pending', 'active', 'inactive', 'active']);
    assert.deepEqual(sink.missed, [0]);
    assert.equal(server.connections.length, 2);
  });

  test('stays up where the server answers, with a PING for each half minute', async () => {
    const { server, sink, pass, follow } = setUp();
    follow(0);
    await pass(3 * HOUR);
    assert.equal(server.connections.length, 1);
    assert.ok(server.last.pings > 230 && server.last.pings <= 360, String(server.last.pings));
    assert.deepEqual(sink.statuses.get(0), ['pending', 'active']);
  });

  test('a known server is tried for ever, at most a minute apart, and its queues show INACTIVE', async () => {
    const { server, sink, pass, follow } = setUp();
    follow(0);
    await pass(100);
    server.refuse = new Error('refused');
    server.last.cut();
    await pass(5 * HOUR);
    const dials = server.dials.length;
    assert.ok(dials > 5 * 60 && dials < 10.5 * 60, String(dials));
    follow(1);
    await pass(MINUTE);
    assert.deepEqual([sink.last(0), sink.last(1)], ['inactive', undefined]);
    server.refuse = undefined;
    await pass(MINUTE + 1000);
    assert.deepEqual([sink.last(0), sink.last(1)], ['active', 'active']);
  });

  test('a lying resolver ends nothing at a server that authenticated before', async () => {
    const { server, sink, pass, follow } = setUp();
    follow(0);
    await pass(100);
    server.refuse = new ForbiddenAddressError();
    server.last.cut();
    await pass(HOUR);
    assert.equal(sink.last(0), 'inactive');
    server.refuse = undefined;
    await pass(MINUTE + 1000);
    assert.equal(sink.last(0), 'active');
  });

  test('a server counts as known from its first queue on, before it is dialled in the next turn', async () => {
    const { server, source, settle, follow } = setUp();
    follow(0);
    assert.equal(server.dials.length, 0);
    assert.ok(source.knowsServer(server.queue(1)));
    await settle();
    assert.ok(source.knowsServer(server.queue(1)));
  });

  test('a server that never completed a handshake is tried hourly for a day and shows INACTIVE', async () => {
    const { server, source, sink, metrics, pass, follow } = setUp();
    server.refuse = new Error('refused');
    follow(0);
    await pass(1000);
    assert.equal(sink.last(0), 'inactive');
    assert.equal(server.dials.length, 1);
    assert.ok(source.knowsServer(server.queue(0)));
    follow(1);
    await pass(1000);
    assert.equal(server.dials.length, 1, 'a new queue does not dial anew');
    assert.equal(sink.last(1), 'inactive');
    await pass(3 * DAY);
    assert.equal(server.dials.length, 25);
    assert.equal(metrics.count('smp_given_up_total'), 1);
    assert.ok(!source.knowsServer(server.queue(0)));
    assert.deepEqual(sink.statuses.get(0), ['inactive']);
    server.refuse = undefined;
    follow(2);
    await pass(1000);
    assert.deepEqual(
      [0, 1, 2].map((n) => sink.last(n)),
      ['active', 'active', 'active'],
      'a new queue starts anew',
    );
  });

  test('a proxy that is away says nothing about a server: tried again soon, and never given up', async () => {
    const { server, sink, metrics, pass, follow } = setUp();
    server.refuse = new SocksError('proxy');
    follow(0);
    await pass(5 * MINUTE);
    assert.equal(sink.last(0), 'inactive');
    assert.ok(server.dials.length >= 5, String(server.dials.length));
    assert.equal(metrics.count('smp_connects_total', 'proxy'), server.dials.length);
    await pass(2 * DAY);
    server.refuse = undefined;
    await pass(MINUTE + 1000);
    assert.equal(sink.last(0), 'active');
    assert.equal(metrics.count('smp_given_up_total'), 0);
  });

  test('three hundred that never answer hold up a new honest server for seconds, not for their deadlines', async () => {
    const silent: Dial = (_options, signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('given up'))),
      );
    const { server, source, sink, pass, follow } = setUp({}, (honest) => (options, signal) => {
      return options.host === 'localhost' ? honest.dial(options, signal) : silent(options, signal);
    });
    for (let n = 1; n <= 300; n++) source.follow(server.queue(n, [`silent${n}`]), randomKey(), n);
    follow(0);
    await pass(19_000);
    assert.equal(sink.last(0), undefined);
    await pass(2_000);
    assert.equal(sink.last(0), 'active');
    await pass(MINUTE);
    assert.equal(sink.count('inactive'), 300);
  });

  test('gives up a handshake after 45 s', async () => {
    const { server, sink, metrics, pass, follow } = setUp();
    server.hello = false;
    follow(0);
    await pass(44_000);
    assert.equal(sink.last(0), undefined);
    await pass(2000);
    assert.equal(sink.last(0), 'inactive');
    assert.equal(metrics.count('smp_connects_total', 'timeout'), 1);
    assert.ok(server.connections.every((connection) => !connection.alive));
  });

  test('hosts are tried in turn, those that authenticated first', async () => {
    const { server, source, sink, pass } = setUp({}, (one) => async (options, signal) => {
      if (options.host !== 'dead') return one.dial(options, signal);
      one.dials.push('dead');
      throw new Error('dead');
    });
    source.follow(server.queue(0, ['dead', 'live']), randomKey(), 0);
    await pass(100);
    assert.deepEqual(server.dials, ['dead']);
    await pass(HOUR);
    assert.deepEqual(server.dials, ['dead', 'live']);
    assert.equal(sink.last(0), 'active');
    // Another spelling of the same server rides on the connection that is there.
    source.follow(server.queue(1, ['live']), randomKey(), 1);
    await pass(100);
    assert.equal(sink.last(1), 'active');
    assert.equal(server.connections.length, 1);
    server.last.cut();
    await pass(1000);
    assert.deepEqual(server.dials.slice(2), ['live']);
  });

  test('the last queue closes it a minute later, and a new one keeps it', async () => {
    const { clock, server, source, metrics, pass, follow } = setUp();
    const first = follow(0);
    await pass(100);
    source.unfollow(first);
    await pass(50_000);
    assert.ok(server.last.alive);
    const second = follow(1);
    await pass(HOUR);
    assert.ok(server.last.alive);
    assert.equal(server.connections.length, 1);
    source.unfollow(second);
    await pass(MINUTE + 1000);
    assert.ok(!server.last.alive);
    assert.equal(metrics.count('smp_servers'), 0);
    assert.equal(clock.pending, 0, 'no timer stays behind');
  });

  test('an unfollowed stranger is forgotten at once', async () => {
    const { clock, server, source, pass, follow } = setUp();
    server.refuse = new Error('refused');
    const handle = follow(0);
    await pass(100);
    source.unfollow(handle);
    assert.equal(clock.pending, 0);
    assert.ok(!source.knowsServer(server.queue(0)));
  });

  test('after close nothing is told and nothing waits', async () => {
    const { clock, server, source, sink, pass, follow } = setUp();
    for (let n = 0; n < 10; n++) follow(n);
    await pass(100);
    const connection = server.last;
    await source.close();
    sink.statuses.clear();
    assert.ok(!connection.alive);
    assert.equal(clock.pending, 0);
    assert.deepEqual(source.follow(server.queue(1), randomKey(), 1), { refused: 'full' });
    await pass(HOUR);
    assert.equal(sink.statuses.size, 0);
  });
});

describe('what may be followed', () => {
  test('no forbidden literal, no port that is none, no id or fingerprint of another length', () => {
    const { server, source, metrics } = setUp();
    const queue = server.queue(0);
    const at = (changes: object) => ({ ...queue, server: { ...queue.server, ...changes } });
    const refused = [
      at({ hosts: ['10.0.0.1'] }),
      at({ hosts: ['example.com', '169.254.169.254'] }),
      at({ hosts: ['[::ffff:10.0.0.1]'] }),
      at({ hosts: [] }),
      at({ hosts: new Array(9).fill('a.example') }),
      at({ port: '0' }),
      at({ keyHash: new Uint8Array(31) }),
      { ...queue, notifierId: new Uint8Array(23) },
    ];
    for (const wrong of refused) {
      assert.deepEqual(source.follow(wrong, randomKey(), 0), { refused: 'prohibited' });
      assert.equal(source.knowsServer(wrong), false);
    }
    assert.equal(metrics.count('smp_refused_total', 'prohibited'), refused.length);
  });

  test('no more than there is room for', () => {
    const { server, source } = setUp({ limits: { queues: 2, servers: 1, spellings: 5 } });
    const follow = (n: number, host: string) => source.follow(server.queue(n, [host]), randomKey(), n);
    assert.ok('handle' in follow(0, 'a'));
    assert.deepEqual(follow(1, 'b'), { refused: 'full' });
    assert.ok('handle' in follow(2, 'a'));
    assert.deepEqual(follow(3, 'a'), { refused: 'full' });
  });

  test('an address comes back as it was given, and a key is known again', () => {
    const { server, source, follow } = setUp();
    const key = notifierKey(crypto, server, server.queue(7));
    const handle = follow(7, key);
    assert.deepEqual(source.address(handle), server.queue(7));
    assert.ok(source.holds(handle, key));
    assert.ok(!source.holds(handle, randomKey()));
  });

  test('only so many strangers are dialled at once', async () => {
    const { server, source, settle } = setUp();
    server.hello = false;
    for (let n = 0; n < 100; n++) source.follow(server.queue(n, [`host${n}`]), randomKey(), n);
    for (let i = 0; i < 5; i++) await settle();
    assert.equal(server.dials.length, 64);
    await source.close();
  });
});
