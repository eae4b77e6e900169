import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';
import { DeviceLimits } from '../../../../../services/gateway/limits/devices.js';
import { MemoryGate } from '../../../../../services/gateway/limits/frame-gate.js';
import { DayKeys } from '../../../../../services/gateway/redis/day-keys.js';
import { RedisGate } from '../../../../../services/gateway/redis/gate.js';
import { RedisLink } from '../../../../../services/gateway/redis/link.js';
import { redisMetrics } from '../../../../../services/gateway/redis/metrics.js';
import { RECORD, RUNNING } from '../../../../../services/gateway/redis/script.js';
import { Tickets } from '../../../../../services/gateway/redis/ticket.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { Secret } from '../../../../../shared/run/secret.js';
import { FakeRedis, fails, never } from '../../../../support/fake-redis.js';
import { ACCEPTED, goes, pass, someDevice } from '../../../../support/frame-gate.js';
import { countedMetrics } from '../../../../support/metrics.js';

const DAY_MS = 86_400_000;
/** Early in a day, but past the minutes in which yesterday's ids are asked for. */
const MORNING = 20_000 * DAY_MS + 6 * 3_600_000;

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

async function setUp() {
  const clock = new VirtualClock();
  const client = new FakeRedis();
  client.now = MORNING;
  const metrics = countedMetrics(redisMetrics);
  const base = { crypto, clock, log: silentLog, metrics: metrics.handles };
  const link = new RedisLink({ ...base, client, prefix: 'p:', timeoutMs: 90 });
  const keys = new DayKeys(crypto, new Secret('root', new Uint8Array(32)));
  const alone = new MemoryGate(new DeviceLimits({ crypto, clock, capacity: 100, gateways: 2 }));
  const tickets = new Tickets(crypto, 'p:', true);
  const gate = new RedisGate({ ...base, link, keys, tickets, alone, devices: 100 });
  await link.start();
  /** One frame; time passes until there is an answer. */
  const ask = async (device = someDevice(), ms = 0) => {
    const answer = pass(gate, device, 'check');
    await clock.advance(ms);
    return answer;
  };
  return { clock, client, metrics, link, gate, ask };
}

describe('a gate that asks Redis', () => {
  let at: Awaited<ReturnType<typeof setUp>>;
  beforeEach(async () => {
    at = await setUp();
  });

  test('asks once for all frames of a turn', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => at.ask()));
    assert.ok(answers.every(goes));
    assert.equal(at.client.runs.length, 1);
    assert.equal(at.client.reads, 1);
  });

  test("looks for yesterday's counts only once for each device", async () => {
    const device = someDevice();
    for (let i = 0; i < 3; i++) await at.ask(device);
    assert.equal(at.client.reads, 1);
    assert.equal(at.client.runs.length, 3);
  });

  test('made-up tokens leave room for proven devices', async () => {
    for (let i = 0; i < 100; i++) await at.ask(someDevice({ proven: false }));
    assert.equal(at.gate.devices, 0);
    let seen = 0;
    await pass(at.gate, someDevice(), 'check', { onNew: () => seen++ });
    assert.deepEqual([seen, at.gate.devices], [1, 1]);
  });

  test("hands yesterday's counts to the script", async () => {
    at.client.value = (key) => (key.includes('}f') ? null : '1800000123456');
    assert.ok(goes(await at.ask()));
    const [, , count, limit, least] = at.client.runs[0]!.args;
    assert.deepEqual([count, limit, least], [2, '900000 4 budget 0', '1800000123456']);
  });

  test('tells the outcome without a renewed capability', async () => {
    const told = await at.ask();
    assert.ok(typeof told === 'function');
    told({ ...ACCEPTED, capability: new Uint8Array(256).fill(7) });
    await at.clock.advance(0);
    assert.deepEqual(at.client.runs.at(-1)?.args.slice(2), [RECORD, 'accepted none 0']);
  });

  test('says that a frame runs for as long as it does', async () => {
    const told = await at.ask();
    await at.clock.advance(4_000);
    const says = () => at.client.runs.filter(({ args }) => args[2] === RUNNING).length;
    assert.equal(says(), 2);
    assert.ok(typeof told === 'function');
    told(ACCEPTED);
    await at.clock.advance(10_000);
    assert.equal(says(), 2);
  });

  test('waits for a frame that runs elsewhere, and not for ever', async () => {
    at.client.answer = '=running';
    const asked = pass(at.gate, someDevice(), 'message');
    await at.clock.advance(10_000);
    at.client.answer = '=dead unregistered 0';
    await at.clock.advance(200);
    assert.deepEqual(await asked, { kind: 'dead', reason: 'unregistered', after: 0 });
    at.client.answer = '=running';
    const another = pass(at.gate, someDevice(), 'message');
    await at.clock.advance(21_000);
    assert.deepEqual(await another, { kind: 'later', reason: 'load', after: 60 });
    assert.equal(at.metrics.count('shared_limits_repeats_total', 'gave-up'), 1);
    assert.equal(at.metrics.count('shared_limits_repeats_total', 'waited'), 1);
  });

  test('all that wait are answered when the gateway stops', async () => {
    at.client.answer = '=running';
    const asked = pass(at.gate, someDevice(), 'message');
    await at.clock.advance(100);
    await at.gate.close();
    assert.deepEqual(await asked, { kind: 'later', reason: 'load', after: 60 });
  });

  test('nothing waits for another gateway once this one stops', async () => {
    at.client.answer = '=running';
    at.gate.stop();
    assert.deepEqual(await at.ask(), { kind: 'later', reason: 'load', after: 60 });
    at.client.answer = '';
    assert.ok(goes(await at.ask()), 'what nobody has goes on');
  });

  test('an answer that is none of the script counts as none', async () => {
    at.client.run = async () => [String(at.client.now)];
    const answers = await Promise.all([at.ask(), at.ask()]);
    assert.ok(answers.every(goes));
    assert.equal(at.metrics.count('shared_limits_frames_total', 'alone'), 2);
    assert.equal(at.link.isUp, false);
  });

  test('a step has a third of the time; then the gateway counts its share alone, without waiting', async () => {
    at.client.trouble = never;
    const device = someDevice();
    const first = pass(at.gate, device, 'check');
    await at.clock.advance(29);
    assert.equal(at.link.isUp, true);
    await at.clock.advance(1);
    assert.ok(goes(await first));
    assert.equal(at.link.isUp, false);
    assert.equal(at.metrics.count('shared_limits_fallbacks_total', 'slow'), 1);
    assert.equal(at.metrics.count('shared_limits_state'), 0);
    // Half of four checks, of which one went.
    assert.deepEqual([goes(await at.ask(device)), goes(await at.ask(device))], [true, false]);
    assert.equal(at.metrics.count('shared_limits_frames_total', 'alone'), 3);
  });

  for (const [name, message, reason] of [
    ['Error', 'Connection is closed.', 'connection'],
    ['ReplyError', 'NOPERM this user has no permissions', 'refused'],
    ['ReplyError', 'OOM command not allowed', 'error'],
  ] as const) {
    test(`${message}: ${reason}; back when it answers again`, async () => {
      at.client.trouble = fails(name, message);
      assert.ok(goes(await at.ask()));
      assert.equal(at.metrics.count('shared_limits_fallbacks_total', reason), 1);
      await at.clock.advance(20_000);
      assert.equal(at.link.isUp, false);
      at.client.trouble = undefined;
      await at.clock.advance(5_000);
      assert.equal(at.link.isUp, true);
      await at.ask();
      assert.equal(at.metrics.count('shared_limits_frames_total', 'together'), 1);
    });
  }

  test('a connection that swallows probes is replaced', async () => {
    at.client.trouble = never;
    const asked = at.ask();
    await at.clock.advance(30);
    await asked;
    await at.clock.advance(1_000);
    assert.ok(at.client.reconnects > 0);
  });

  test('an id from before midnight is still known', async () => {
    at.client.now = 20_001 * DAY_MS + 60_000;
    await at.ask();
    const device = someDevice();
    await at.ask(device);
    const reads = at.client.reads;
    at.client.value = () => 'accepted none 0';
    assert.deepEqual(await at.ask(device), ACCEPTED);
    assert.equal(at.client.reads, reads + 1);
  });

  test('keys of one device share a hash tag, change every day, and name nothing', async () => {
    const device = someDevice();
    await at.ask(device);
    at.client.now += DAY_MS;
    await at.ask();
    await at.ask(device);
    const tags = (run: number) =>
      at.client.runs.at(run)!.keys.map((key) => /^p:\{([\w-]{20})\}/.exec(key)?.[1]);
    assert.equal(new Set(tags(0)).size, 1);
    assert.notEqual(tags(0)[0], tags(-1)[0]);
  });
});
