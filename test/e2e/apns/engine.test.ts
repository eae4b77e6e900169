/** The engine against the simulator: real TLS and HTTP/2, faults from the simulator's script. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ApnsResult } from '../../../services/gateway/apns/engine.js';
import type { ApnsLimits } from '../../../services/gateway/apns/options.js';
import { sleep, systemClock, VirtualClock } from '../../../shared/run/clock.js';
import {
  device,
  engineFor,
  passUntil,
  push,
  startWorld,
  type TestEngine,
  TOPIC,
  type World,
  type WorldOptions,
} from '../../support/apns/setup.js';

/** A multiple of 40 minutes since the epoch. */
const SLOT_START = 1_800_000_000_000;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Setup {
  world: World;
  engine: TestEngine;
  token: string;
}

async function start(options: WorldOptions = {}, limits: Partial<ApnsLimits> = {}): Promise<Setup> {
  const world = await startWorld(options);
  open.push(() => world.simulator.close());
  const engine = engineFor(world, limits, options.clock ?? systemClock);
  open.push(() => engine.close(0));
  return { world, engine, token: device(world) };
}

const many = (n: number, engine: TestEngine, token: string): Promise<ApnsResult[]> =>
  Promise.all(Array.from({ length: n }, () => engine.send(push(token))));
const kinds = (results: ApnsResult[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { kind } of results) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
};

test('a push arrives as it was sent', async () => {
  const { world, engine, token } = await start();
  assert.deepEqual(await engine.send(push(token, { collapseId: 'new' })), { kind: 'accepted' });
  const [entry] = world.simulator.deliveries.read();
  assert.equal(entry?.token, token);
  assert.equal(entry?.collapseId, 'new');
  assert.equal(entry?.priority, 10);
  assert.equal(entry?.expiration, 4_000_000_000);
  assert.equal(entry?.step, 'delivered');
  assert.equal(engine.ready({ environment: 'production', topic: TOPIC }), true);
});

test('a burst opens up after the first good answer and goes over two connections', async () => {
  const { world, engine, token } = await start();
  assert.deepEqual(kinds(await many(500, engine, token)), { accepted: 500 });
  const { connections, answers } = world.simulator.counters();
  assert.equal(connections, 2);
  assert.deepEqual(answers, { 200: 500 });
});

test('GOAWAY in the middle loses nothing and processes nothing twice', async () => {
  const { world, engine, token } = await start({ rules: { maxStreams: 50 } });
  world.simulator.script.add(
    { on: 'push', every: 7, fault: { latencyMs: 1 } },
    { on: 'push', skip: 60, every: 100, times: 4, fault: { goaway: { reason: 'Shutdown', back: 20 } } },
  );
  assert.deepEqual(kinds(await many(600, engine, token)), { accepted: 600 });
  assert.equal(world.simulator.deliveries.read().length, 600);
  assert.equal(world.simulator.counters().goaway, 4);
});

test('GOAWAY with an error code and cut connections are survived; a double wake is allowed', async () => {
  const { world, engine, token } = await start({ rules: { maxStreams: 20 } });
  world.simulator.script.add(
    { on: 'push', skip: 30, times: 1, fault: { goaway: { code: 11, back: 5 } } },
    { on: 'push', skip: 150, times: 1, fault: { cut: true, processed: true } },
  );
  const results = kinds(await many(400, engine, token));
  assert.deepEqual(results, { accepted: 400 });
  assert.match(await engine.metrics(), /apns_resends_total\{cause="refused"\} [1-9]/);
  assert.ok(world.simulator.deliveries.read().length >= 400);
});

test('refused streams are resent', async () => {
  const { world, engine, token } = await start();
  world.simulator.script.add({ on: 'push', skip: 5, every: 3, times: 30, fault: { reset: 'refused' } });
  assert.deepEqual(kinds(await many(200, engine, token)), { accepted: 200 });
  assert.equal(world.simulator.deliveries.read().length, 200);
  assert.match(await engine.metrics(), /apns_resends_total\{cause="refused"\} 30/);
});

test('the stream limit is obeyed when it falls after an error', async () => {
  const { world, engine, token } = await start({ rules: { maxStreams: 100 } });
  await engine.send(push(token));
  const unknown = 'ab'.repeat(32);
  const pushes = Array.from({ length: 300 }, (_, i) => engine.send(push(i % 10 === 3 ? unknown : token)));
  assert.deepEqual(kinds(await Promise.all(pushes)), { accepted: 270, dead: 30 });
  assert.ok(world.simulator.counters().settings > 2);
});

test('a server that goes down and comes back is found again', async () => {
  const { world, engine, token } = await start();
  await engine.send(push(token));
  await world.simulator.down();
  let result = await engine.send(push(token));
  while (result.kind !== 'unavailable') result = await engine.send(push(token));
  assert.equal(result.reason, 'provider-down');
  assert.equal(engine.ready({ environment: 'production', topic: TOPIC }), false);
  await world.simulator.up();
  while (result.kind !== 'accepted') {
    await sleep(systemClock, 2);
    result = await engine.send(push(token));
  }
  assert.equal(engine.ready({ environment: 'production', topic: TOPIC }), true);
});

test('a stalled stream is reset at its deadline and the push goes another way', async () => {
  const clock = new VirtualClock();
  const { world, engine, token } = await start({ clock });
  await many(20, engine, token);
  world.simulator.script.add({ on: 'push', times: 1, fault: { stall: true } });
  assert.deepEqual(await passUntil(clock, engine.send(push(token))), { kind: 'accepted' });
  assert.match(await engine.metrics(), /apns_resends_total\{cause="timeout"\} 1/);
});

test('a push whose answers never come is put off after one resend', async () => {
  const clock = new VirtualClock();
  const { world, engine, token } = await start({ clock });
  await many(20, engine, token);
  world.simulator.script.add({ on: 'push', fault: { stall: true, processed: true } });
  const result = await passUntil(clock, engine.send(push(token)));
  assert.deepEqual(result, { kind: 'later', reason: 'provider', afterSeconds: 60 });
  assert.equal(world.simulator.deliveries.read().length, 22);
});

test('connections that fall silent are given up, and what was on them is sent once more', async () => {
  const clock = new VirtualClock();
  const { world, engine, token } = await start({ clock });
  await many(20, engine, token);
  world.simulator.silence();
  assert.deepEqual(kinds(await passUntil(clock, many(10, engine, token))), { accepted: 10 });
  assert.equal(world.simulator.counters().connections, 4);
});

test('an idle connection that died is found by PING', async () => {
  const clock = new VirtualClock();
  const { world, engine, token } = await start({ clock });
  await many(20, engine, token);
  world.simulator.silence();
  await clock.advance(135_000);
  assert.match(await engine.metrics(), /apns_connects_total\{event="lost"\} 2/);
  assert.deepEqual(await passUntil(clock, engine.send(push(token))), { kind: 'accepted' });
});

test('connections keep their provider token for 20 minutes and then follow the slots', async () => {
  const clock = new VirtualClock(SLOT_START + 39 * 60_000);
  const { world, engine, token } = await start({ clock });
  for (let minute = 0; minute < 130; minute++) {
    assert.deepEqual(await passUntil(clock, engine.send(push(token)), 10), { kind: 'accepted' });
    await clock.advance(60_000);
  }
  assert.deepEqual(world.simulator.counters().answers, { 200: 130 });
  assert.match(await engine.metrics(), /apns_provider_tokens_total 5/);
});

test('a token that Apple calls expired is replaced once, on a new connection', async () => {
  const apple = new VirtualClock(SLOT_START + 61 * 60_000);
  const ours = new VirtualClock(SLOT_START + 39 * 60_000); // 22 minutes slow: the slot's token is 61 minutes old
  const { world } = await start({ clock: apple, rules: { maxStreams: 100 } });
  const engine = engineFor(world, {}, ours);
  open.push(() => engine.close(0));
  const token = device(world);
  const results = await passUntil(ours, many(50, engine, token), 10);
  assert.deepEqual(kinds(results), { accepted: 50 });
  const { answers, connections } = world.simulator.counters();
  assert.ok(answers['403 ExpiredProviderToken']! <= 2); // one a connection: the probes
  assert.ok(connections <= 4);
  assert.match(await engine.metrics(), /apns_provider_tokens_total 2/);
});

test('a clock that is hours slow opens the breaker, which probes by itself and kills no token', async () => {
  const apple = new VirtualClock(SLOT_START + 180 * 60_000);
  const ours = new VirtualClock(SLOT_START);
  const { world } = await start({ clock: apple });
  const engine = engineFor(world, {}, ours);
  open.push(() => engine.close(0));
  const target = { environment: 'production', topic: TOPIC } as const;
  const token = device(world);
  const broken = { kind: 'unavailable', reason: 'breaker-open' };
  assert.deepEqual(await passUntil(ours, engine.send(push(token)), 10), broken);
  assert.equal(engine.ready(target), false);
  assert.deepEqual(await engine.send(push(token)), broken);
  assert.deepEqual(world.simulator.counters().answers, { '403 ExpiredProviderToken': 2 });
  ours.jump(180 * 60_000); // the operator sets the clock
  await ours.advance(30_000);
  assert.equal(engine.ready(target), true);
  assert.deepEqual(await passUntil(ours, engine.send(push(token)), 10), { kind: 'accepted' });
});

test('first contacts have a connection of their own', async () => {
  const { world, engine, token } = await start();
  const results = await Promise.all([engine.send(push(token)), engine.send(push(token, { provenAt: 0 }))]);
  assert.deepEqual(kinds(results), { accepted: 2 });
  assert.equal(world.simulator.counters().connections, 3);
});

test('close lets written pushes finish and refuses new ones', async () => {
  const { world, engine, token } = await start();
  await engine.send(push(token));
  world.simulator.script.add({ on: 'push', fault: { latencyMs: 5 } });
  const last = engine.send(push(token));
  await engine.close(5_000);
  assert.deepEqual(await last, { kind: 'accepted' });
  assert.deepEqual(await engine.send(push(token)), { kind: 'unavailable', reason: 'provider-down' });
});
