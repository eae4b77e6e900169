/** Queue, resends, deadlines and breakers, without a network and on a virtual clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApnsEngine } from '../../../../../services/gateway/apns/create.js';
import type { ApnsEngine, ApnsPush, ApnsResult } from '../../../../../services/gateway/apns/engine.js';
import { apnsMetrics } from '../../../../../services/gateway/apns/metrics.js';
import type { ApnsLimits } from '../../../../../services/gateway/apns/options.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { Metrics } from '../../../../../shared/run/metrics.js';
import { type FakeConnection, fakeDial } from '../../../../support/apns/fake-connection.js';
import { crypto, push as pushTo, signingKey, TOPIC } from '../../../../support/apns/setup.js';

const OTHER_TOPIC = 'chat.example.other';
const { privateKey } = signingKey();

interface Setup {
  engine: ApnsEngine;
  clock: VirtualClock;
  made: FakeConnection[];
  send: (more?: Partial<ApnsPush>) => Promise<ApnsResult>;
}

function setup(limits: Partial<ApnsLimits> = {}): Setup {
  const clock = new VirtualClock();
  const { dial, made } = fakeDial();
  const key = { keyId: 'KEY0000001', teamId: 'TEAM000001', privateKey: () => privateKey };
  const engine = createApnsEngine({
    keys: [
      { ...key, topics: [TOPIC], environments: ['production'] },
      { ...key, topics: [OTHER_TOPIC], environments: ['production'] },
    ],
    endpoints: { production: { host: 'nowhere', port: 443 } },
    crypto,
    clock,
    log: silentLog,
    metrics: new Metrics('').add(apnsMetrics),
    limits,
    dial: () => dial,
  });
  return { engine, clock, made, send: (more) => engine.send(pushTo('aa'.repeat(32), more)) };
}

/** Both connections open, and proven by one accepted push each. */
async function ready(limits: Partial<ApnsLimits> = {}): Promise<Setup> {
  const world = setup(limits);
  const first = [world.send(), world.send()];
  for (const connection of world.made) connection.settings(100);
  for (const connection of world.made) connection.status(200);
  await Promise.all(first);
  return world;
}

/** Lets the push through to whichever connection has it, and answers it there. */
function busy(made: readonly FakeConnection[]): FakeConnection {
  const connection = made.find(({ waiting }) => waiting.length > 0);
  assert.ok(connection, 'no request is under way');
  return connection;
}

async function answerTo(
  world: Setup,
  status: number,
  reason?: string,
  more: object = {},
): Promise<ApnsResult> {
  const result = world.send();
  busy(world.made).status(status, reason, more);
  return await result;
}

test('waits for SETTINGS, sends one push, opens up after its answer and obeys every change', () => {
  const { made, send } = setup({ connections: 1 });
  for (let i = 0; i < 10; i++) void send();
  const [connection] = made;
  assert.equal(connection!.waiting.length, 0);
  connection!.settings(5);
  assert.equal(connection!.waiting.length, 1);
  connection!.status(200);
  assert.equal(connection!.waiting.length, 5);
  connection!.settings(1);
  connection!.status(200);
  assert.equal(connection!.waiting.length, 4);
  connection!.settings(6);
  assert.equal(connection!.waiting.length, 6);
});

test('an error does not open a new connection up, 410 does', () => {
  const { made, send } = setup({ connections: 1 });
  for (let i = 0; i < 10; i++) void send();
  made[0]!.settings(100);
  made[0]!.status(400, 'BadDeviceToken');
  assert.equal(made[0]!.waiting.length, 1);
  made[0]!.status(410, 'Unregistered', { timestampMs: 2e12 });
  assert.equal(made[0]!.waiting.length, 8);
});

test('the own cap holds whatever Apple allows, and the least loaded connection is taken', async () => {
  const { made, send } = await ready({ streams: 3 });
  for (let i = 0; i < 10; i++) void send();
  assert.deepEqual(
    made.map(({ waiting }) => waiting.length),
    [3, 3],
  );
});

test('each outcome that ends a push', async () => {
  const world = await ready();
  const cases: [number, string | undefined, object, ApnsResult][] = [
    [200, undefined, {}, { kind: 'accepted' }],
    [400, 'BadDeviceToken', {}, { kind: 'dead', reason: 'bad' }],
    [400, 'DeviceTokenNotForTopic', {}, { kind: 'dead', reason: 'topic' }],
    [
      410,
      'Unregistered',
      { timestampMs: 1_700_000_001_500 },
      { kind: 'dead', reason: 'unregistered', at: 1_700_000_001 },
    ],
    [410, 'ExpiredToken', {}, { kind: 'dead', reason: 'expired' }],
    [413, 'PayloadTooLarge', {}, { kind: 'rejected', reason: 'PayloadTooLarge' }],
    [418, 'Teapot', {}, { kind: 'rejected', reason: 'other' }],
  ];
  for (const [status, reason, more, result] of cases) {
    assert.deepEqual(await answerTo(world, status, reason, more), result);
  }
});

test('410 from before the last proof kills no token', async () => {
  const world = await ready();
  const answer = await answerTo(world, 410, 'Unregistered', { timestampMs: 1_700_000_000_000 });
  assert.deepEqual(answer, { kind: 'later', reason: 'device', afterSeconds: 60 });
});

test('429: the device waits 60 s, doubling to 1,800, without Apple being asked again; success ends it', async () => {
  const world = await ready();
  const { clock } = world;
  for (const seconds of [60, 120, 240, 480, 960, 1800, 1800]) {
    const later = { kind: 'later', reason: 'device', afterSeconds: seconds };
    assert.deepEqual(await answerTo(world, 429, 'TooManyRequests'), later);
    assert.deepEqual(await world.send(), later);
    await clock.advance(seconds * 1000);
  }
  assert.deepEqual(await answerTo(world, 200), { kind: 'accepted' });
  assert.deepEqual(await answerTo(world, 429, 'TooManyRequests', { retryAfterSeconds: 7 }), {
    kind: 'later',
    reason: 'device',
    afterSeconds: 7,
  });
});

test('500: one resend on another connection, then later, 60 s doubling to 900', async () => {
  const world = await ready();
  const { made, clock } = world;
  for (const seconds of [60, 120, 240, 480, 900, 900]) {
    const result = world.send();
    const first = busy(made);
    first.status(500, 'InternalServerError');
    const second = busy(made);
    assert.notEqual(second, first);
    second.status(500, 'InternalServerError');
    assert.deepEqual(await result, { kind: 'later', reason: 'provider', afterSeconds: seconds });
    await clock.advance(seconds * 1000);
  }
});

test('503 leaves the connection for a new one', async () => {
  const { made, send, clock } = await ready();
  const result = send();
  const left = busy(made);
  left.status(503, 'Shutdown');
  assert.equal(left.isDraining, true);
  busy(made).status(200);
  assert.deepEqual(await result, { kind: 'accepted' });
  await clock.advance(1_000);
  void send();
  assert.equal(made.length, 3);
});

test('what was certainly not processed is resent at once, and not for ever', async () => {
  const { made, send } = await ready();
  const result = send();
  for (let i = 0; i < 16; i++) busy(made).answer({ kind: 'unprocessed' });
  busy(made).answer({ kind: 'unprocessed' });
  assert.equal((await result).kind, 'later');
});

test('an unknown outcome is resent once', async () => {
  const { made, send } = await ready();
  const result = send();
  busy(made).answer({ kind: 'unknown' });
  busy(made).answer({ kind: 'unknown' });
  assert.deepEqual(await result, { kind: 'later', reason: 'provider', afterSeconds: 60 });
});

test('a request without an answer is reset at its deadline and goes to another connection', async () => {
  const { made, send, clock } = await ready();
  const result = send();
  const silent = busy(made);
  await clock.advance(11_000);
  assert.equal(silent.cancelled.length, 1);
  const other = busy(made);
  assert.notEqual(other, silent);
  other.status(200);
  assert.deepEqual(await result, { kind: 'accepted' });
});

test('a peer that answers no PING is given up', async () => {
  const { made, send, clock } = await ready();
  for (const connection of made) connection.isAlive = false;
  void send();
  const silent = busy(made);
  await clock.advance(21_000);
  assert.equal(silent.isDestroyed, true);
});

test('a connection that was given up and never ends is destroyed', async () => {
  const { made, clock } = await ready();
  made[0]!.goaway('Shutdown');
  assert.ok(made[0]!.isDraining);
  await clock.advance(24_000);
  assert.ok(!made[0]!.isDestroyed);
  await clock.advance(1_000);
  assert.ok(made[0]!.isDestroyed);
});

test('full queue: later, load', async () => {
  const { send, made } = setup({ queued: 3 });
  for (let i = 0; i < 3; i++) void send();
  assert.deepEqual(await send(), { kind: 'later', reason: 'load', afterSeconds: 60 });
  assert.equal(made.length, 2);
});

test('a push that finds no stream in time is later, load', async () => {
  const { send, made, clock } = await ready();
  for (const connection of made) connection.settings(0);
  const result = send();
  await clock.advance(26_000);
  assert.deepEqual(await result, { kind: 'later', reason: 'load', afterSeconds: 60 });
});

test('no connection: unavailable, back-off from 1 to 60 s, ready again after the first answer', async () => {
  const { engine, send, made, clock } = setup({ connections: 1, connectMs: 1e9 });
  const target = { environment: 'production', topic: TOPIC } as const;
  assert.equal(engine.ready(target), true);
  const result = send();
  made[0]!.lose('ECONNREFUSED');
  assert.deepEqual(await result, { kind: 'unavailable', reason: 'provider-down' });
  assert.equal(engine.ready(target), false);
  assert.deepEqual(await send(), { kind: 'unavailable', reason: 'provider-down' });
  let tried = 1;
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    await clock.advance(seconds * 500 - 1);
    assert.equal(made.length, tried, 'not before half of the bound');
    await clock.advance(seconds * 500 + 1);
    assert.equal(made.length, ++tried, 'by the whole bound');
    made.at(-1)!.lose('ECONNREFUSED');
  }
  while (made.length === tried) await clock.advance(1_000);
  made.at(-1)!.settings(100);
  assert.equal(engine.ready(target), true);
});

test('connecting that never ends is a failure', async () => {
  const { send, made, clock } = setup({ connections: 1 });
  const result = send();
  await clock.advance(10_000);
  assert.equal(made[0]!.isDestroyed, true);
  assert.deepEqual(await result, { kind: 'unavailable', reason: 'provider-down' });
});

for (const reason of ['Forbidden', 'BadEnvironmentKeyInToken', 'BadCertificate']) {
  test(`403 ${reason} opens the key's breaker, which probes with one push`, async () => {
    const world = await ready();
    const { engine, send, made, clock } = world;
    const broken = { kind: 'unavailable', reason: 'breaker-open' };
    assert.deepEqual(await answerTo(world, 403, reason), broken);
    assert.deepEqual(await send({ topic: OTHER_TOPIC }), broken);
    assert.equal(engine.ready({ environment: 'production', topic: OTHER_TOPIC }), false);
    await clock.advance(30_000);
    assert.equal(engine.ready({ environment: 'production', topic: OTHER_TOPIC }), true);
    const probe = send();
    assert.deepEqual(await send(), broken, 'only one push probes');
    busy(made).status(403, reason);
    assert.deepEqual(await probe, broken);
    await clock.advance(30_000);
    assert.deepEqual(await send(), broken, 'twice as long');
    await clock.advance(30_000);
    for (const connection of made) if (!connection.isDraining) connection.settings(100);
    const good = send();
    for (const connection of made)
      if (connection.maxStreams === 0 && !connection.isDraining) connection.settings(100);
    busy(made).status(200);
    assert.deepEqual(await good, { kind: 'accepted' });
    assert.equal(engine.ready({ environment: 'production', topic: TOPIC }), true);
  });
}

test('TopicDisallowed stops only its topic', async () => {
  const world = await ready();
  const broken = { kind: 'unavailable', reason: 'breaker-open' };
  assert.deepEqual(await answerTo(world, 400, 'TopicDisallowed'), broken);
  assert.deepEqual(await world.send(), broken);
  const other = world.send({ topic: OTHER_TOPIC });
  busy(world.made).status(200);
  assert.deepEqual(await other, { kind: 'accepted' });
});

test('ExpiredProviderToken: one new token for all, on new connections, one resend', async () => {
  const { made, send, clock } = await ready();
  const results = Array.from({ length: 20 }, () => send());
  const old = made.slice();
  const rejected = busy(made).waiting[0]!.authorization;
  for (const connection of old) {
    while (connection.waiting.length > 0) connection.status(403, 'ExpiredProviderToken');
    assert.equal(connection.isDraining, true);
  }
  assert.equal(made.length, 4);
  for (const connection of made.slice(2)) connection.settings(100);
  const tokens = new Set(
    made.slice(2).flatMap(({ waiting }) => waiting.map(({ authorization }) => authorization)),
  );
  assert.equal(tokens.size, 1);
  assert.equal(tokens.has(rejected), false);
  for (const connection of made.slice(2)) while (connection.waiting.length > 0) connection.status(200);
  assert.ok((await Promise.all(results)).every(({ kind }) => kind === 'accepted'));
  await clock.advance(1);
});

test('TooManyProviderTokenUpdates keeps the token', async () => {
  const world = await ready();
  const { made, send, clock } = world;
  const result = await answerTo(world, 429, 'TooManyProviderTokenUpdates');
  assert.deepEqual(result, { kind: 'later', reason: 'provider', afterSeconds: 60 });
  void send();
  const before = busy(made).waiting[0]!.authorization;
  busy(made).status(200);
  await clock.advance(60_000);
  void send();
  assert.equal(busy(made).waiting[0]!.authorization, before);
});

test('a connection that Apple leaves idle is replaced, and the push goes again once', async () => {
  const { made, send } = await ready();
  const result = send();
  busy(made).status(400, 'IdleTimeout');
  busy(made).status(400, 'IdleTimeout');
  assert.equal((await result).kind, 'later');
});

test('what Apple would refuse is not sent', async () => {
  const { send, made } = setup();
  const wrong: [Partial<ApnsPush>, string][] = [
    [{ token: new Uint8Array() }, 'MissingDeviceToken'],
    [{ body: new Uint8Array() }, 'PayloadEmpty'],
    [{ body: new Uint8Array(4097) }, 'PayloadTooLarge'],
    [{ pushType: 'background', priority: 10 }, 'BadPriority'],
    [{ collapseId: 'é'.repeat(33) }, 'BadCollapseId'],
    [{ expiration: 1.5 }, 'BadExpirationDate'],
    [{ topic: 'unknown' }, 'UnknownTarget'],
    [{ environment: 'sandbox' }, 'UnknownTarget'],
  ];
  for (const [more, reason] of wrong) assert.deepEqual(await send(more), { kind: 'rejected', reason });
  assert.equal(made.length, 0);
});

test('close: what waits is refused, what is written may finish', async () => {
  const { engine, made, send, clock } = await ready({ streams: 1 });
  const written = [send(), send()];
  const queued = send();
  const closed = engine.close(1_000);
  assert.deepEqual(await queued, { kind: 'unavailable', reason: 'provider-down' });
  for (const connection of made) connection.status(200);
  for (const result of await Promise.all(written)) assert.deepEqual(result, { kind: 'accepted' });
  await closed;
  await clock.advance(120_000);
  assert.equal(clock.pending, 0);
});

test('close does not wait longer than its grace', async () => {
  const { engine, send, clock } = await ready();
  const written = send();
  const closed = engine.close(1_000);
  await clock.advance(1_000);
  await closed;
  assert.equal((await written).kind, 'later');
});

test('a connection that ended, or never came, leaves no timer behind', async () => {
  for (const world of [await ready(), setup()]) {
    const sent = world.send();
    for (const connection of world.made) connection.lose();
    await world.engine.close(0);
    await sent;
    assert.equal(world.clock.pending, 0);
  }
});
