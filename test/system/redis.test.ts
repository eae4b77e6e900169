/** What gateways share through Redis, with a real one. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { NonceQuota } from '../../services/gateway/limits/nonces.js';
import { openRedis } from '../../services/gateway/redis/client.js';
import { DAY_MS, DayKeys } from '../../services/gateway/redis/day-keys.js';
import { RedisGate } from '../../services/gateway/redis/gate.js';
import { RedisLink } from '../../services/gateway/redis/link.js';
import { redisMetrics } from '../../services/gateway/redis/metrics.js';
import { Tickets } from '../../services/gateway/redis/ticket.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { Secret } from '../../shared/run/secret.js';
import { ACCEPTED, describeGate, drain, goes, pass, someDevice } from '../support/frame-gate.js';
import { countedMetrics } from '../support/metrics.js';
import { startCounting, stateFolder } from '../support/redis-gate.js';
import { RedisServer } from '../support/redis-server.js';

const bytes = (size: number) => new Uint8Array(randomBytes(size));
/** Long, for tests on a busy machine; those of slowness have their own. */
const TIMEOUT_MS = 3_000;

/** Gateways that share a Redis and a state folder. */
async function gateways(count: number) {
  const server = await RedisServer.start();
  const state = stateFolder();
  const redis = { urls: [server.url], timeout_ms: TIMEOUT_MS, gateways: count };
  const start = () => startCounting({ state: state.path, redis });
  const all = await Promise.all(Array.from({ length: count }, start));
  return {
    server,
    all,
    async close() {
      await Promise.all(all.map((counting) => counting.close()));
      await server.close();
      state.remove();
    },
  };
}

describeGate('through Redis', async () => {
  const { all, close } = await gateways(2);
  return { gate: all[0]!.gate, advance: (ms) => sleep(systemClock, ms), close };
});

describe('gateways that share a Redis', () => {
  let shared: Awaited<ReturnType<typeof gateways>>;
  before(async () => {
    shared = await gateways(2);
  });
  after(() => shared.close());
  const [a, b] = [() => shared.all[0]!, () => shared.all[1]!];

  test('what one let through counts at the other', async () => {
    const device = someDevice();
    for (const counting of [a(), b(), a(), b()]) assert.ok(goes(await pass(counting.gate, device, 'check')));
    for (const counting of [a(), b()]) assert.equal((await drain(counting.gate, device, 'check')).n, 0);
  });

  test('a frame that is done gets the same outcome from the other, and nothing is counted twice', async () => {
    const [device, id] = [someDevice(), bytes(16)];
    const told = await pass(a().gate, device, 'check', { id });
    assert.ok(typeof told === 'function');
    told({ ...ACCEPTED, capability: bytes(256) });
    await sleep(systemClock, 20);
    assert.deepEqual(await pass(b().gate, device, 'check', { id }), ACCEPTED);
    assert.equal((await drain(b().gate, device, 'check')).n, 3);
  });

  test('a refusal is repeated too', async () => {
    const [device, id] = [someDevice(), bytes(16)];
    await drain(a().gate, device, 'check');
    const refusal = await pass(a().gate, device, 'check', { id });
    assert.deepEqual(await pass(b().gate, device, 'check', { id }), refusal);
  });

  test('a frame that is running is waited for', async () => {
    const [device, id] = [someDevice(), bytes(16)];
    const told = await pass(a().gate, device, 'message', { id });
    const waiting = pass(b().gate, device, 'message', { id });
    await sleep(systemClock, 300);
    assert.ok(typeof told === 'function');
    told({ kind: 'later', reason: 'provider', after: 300 });
    assert.deepEqual(await waiting, { kind: 'later', reason: 'provider', after: 300 });
  });

  test('other ids, devices and subscribers are other frames', async () => {
    const [device, id] = [someDevice(), bytes(16)];
    assert.ok(goes(await pass(a().gate, device, 'message', { id })));
    assert.ok(goes(await pass(b().gate, someDevice(), 'message', { id })));
    const another = { ...device, subscriberTag: bytes(16) };
    assert.ok(goes(await pass(b().gate, another, 'message', { id })));
  });

  test('a nonce that one has seen is seen at the other', async () => {
    const [signer, nonce] = [bytes(16), bytes(16)];
    const add = (counting: (typeof shared.all)[number], n: Uint8Array) =>
      counting.nonces.add(signer, n, new NonceQuota(100), 0);
    assert.equal(await add(a(), nonce), 'new');
    assert.equal(await add(b(), nonce), 'seen');
    assert.equal(await add(b(), bytes(16)), 'new');
  });

  test('every key that is left in Redis ends by itself', async () => {
    const keys = await shared.server.command('KEYS', '*');
    assert.ok(Array.isArray(keys) && keys.length > 10);
    for (const key of keys) {
      assert.match(String(key), /^porchlight:/);
      // -1 would be a key without an end; -2 is one that has ended meanwhile.
      assert.notEqual(await shared.server.command('PTTL', String(key)), -1, String(key));
    }
  });
});

/** As if it were tomorrow: only the day of the keys follows this clock, time itself is that of Redis. */
class Tomorrow extends RedisLink {
  override get now(): number {
    return super.now + DAY_MS;
  }
}

test("after midnight yesterday's counts and outcomes still hold", async (t) => {
  const server = await RedisServer.start();
  t.after(() => server.close());
  const crypto = await loadCrypto();
  const root = new Secret('root', bytes(32));
  const open = async (Link: typeof RedisLink): Promise<RedisGate> => {
    const metrics = countedMetrics(redisMetrics).handles;
    const servers = { urls: [server.url], isCluster: false, username: undefined, password: undefined };
    const client = await openRedis({ ...servers, ca: undefined, serverName: undefined });
    const base = { crypto, clock: systemClock, log: silentLog, metrics };
    const link = new Link({ ...base, client, prefix: 'p:', timeoutMs: TIMEOUT_MS });
    await link.start();
    const alone = { pass: () => assert.fail('counted alone'), forget: () => {} };
    const parts = { keys: new DayKeys(crypto, root), tickets: new Tickets(crypto, 'p:', true), alone };
    const gate = new RedisGate({ ...base, ...parts, link, devices: 100 });
    t.after(async () => {
      await gate.close();
      link.close();
    });
    return gate;
  };
  const [today, tomorrow] = [await open(RedisLink), await open(Tomorrow)];
  const [device, id] = [someDevice(), bytes(16)];
  const told = await pass(today, device, 'check', { id });
  assert.ok(typeof told === 'function');
  told(ACCEPTED);
  assert.ok(goes(await pass(today, device, 'check')));
  assert.ok(goes(await pass(tomorrow, device, 'message')));
  assert.deepEqual(await pass(tomorrow, device, 'check', { id }), ACCEPTED);
  assert.equal((await drain(tomorrow, device, 'check')).n, 2);
  assert.equal((await drain(tomorrow, someDevice(), 'check')).n, 4);
});

test('a frame of a gateway that died is free for another when its lease is over', async () => {
  const shared = await gateways(2);
  const [device, id] = [someDevice(), bytes(16)];
  assert.ok(goes(await pass(shared.all[0]!.gate, device, 'message', { id })));
  const waiting = pass(shared.all[1]!.gate, device, 'message', { id });
  // It says no more that the frame is running: as if its process were gone.
  await shared.all[0]!.close();
  assert.ok(goes(await waiting));
  await shared.close();
});
