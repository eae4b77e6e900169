import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  encodeEntry,
  type RevocationEntry,
} from '../../../../../services/gateway/capabilities/revocation-store.js';
import { RedisLink } from '../../../../../services/gateway/redis/link.js';
import { redisMetrics } from '../../../../../services/gateway/redis/metrics.js';
import { RedisRevocations } from '../../../../../services/gateway/redis/revocations.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { toBase64url } from '../../../../../shared/encoding/base64url.js';
import { sleep, VirtualClock } from '../../../../../shared/run/clock.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { FakeRedis, fails } from '../../../../support/fake-redis.js';
import { countedMetrics } from '../../../../support/metrics.js';

const folder = { readable: true, start: async () => {}, append: async () => {}, close: async () => {} };

test('a Redis that comes and goes is filled again, but not all the time', async () => {
  const clock = new VirtualClock();
  const client = new FakeRedis();
  const metrics = countedMetrics(redisMetrics).handles;
  const base = { crypto: await loadCrypto(), clock, log: silentLog, metrics, prefix: 'p:' };
  const link = new RedisLink({ ...base, client, timeoutMs: 90 });
  await link.start();
  let fillings = 0;
  const all = async (): Promise<RevocationEntry[]> => {
    fillings++;
    await sleep(clock, 3_000);
    return [];
  };
  const revocations = new RedisRevocations({ ...base, link, folder, all });
  void revocations.start(() => {});
  await clock.advance(4_000);
  assert.equal(revocations.readable, true);
  for (let flap = 0; flap < 12; flap++) {
    await link.ask('nonce', fails('Error', 'Connection is closed.'));
    await clock.advance(10_000);
  }
  assert.equal(fillings, 2);
  assert.equal(revocations.readable, false, 'what it holds is not known');
  await clock.advance(60_000);
  assert.equal(revocations.readable, true);
  await revocations.close();
  link.close();
});

const entry = (time: number): RevocationEntry => ({
  pool: 'proven',
  time,
  lookup: time,
  hash: new Uint8Array(20).fill(time),
});

/** A gateway whose folder holds `held`, and the times that it learned. */
async function begin(client: FakeRedis, clock: VirtualClock, held: readonly RevocationEntry[]) {
  const base = { crypto: await loadCrypto(), clock, log: silentLog, prefix: 'p:' };
  const link = new RedisLink({
    ...base,
    metrics: countedMetrics(redisMetrics).handles,
    client,
    timeoutMs: 90,
  });
  await link.start();
  const revocations = new RedisRevocations({ ...base, link, folder, all: async () => held });
  const learned: number[] = [];
  await revocations.start((entries) => void learned.push(...entries.map(({ time }) => time)));
  const close = async (): Promise<void> => {
    await revocations.close();
    link.close();
  };
  return { revocations, learned, close };
}

test('a long set is read page by page, each entry once, though many came at one time', async () => {
  const client = new FakeRedis();
  const times = Array.from({ length: 5_000 }, (_, i) => i + 1);
  // Two of each time, but for 1,200 of one time over several pages.
  const came = (time: number) => (time > 2_000 && time <= 3_200 ? 2_000 : Math.ceil(time / 2));
  for (const time of times) client.dated.set(toBase64url(encodeEntry(entry(time))), came(time));
  const { learned, revocations, close } = await begin(client, new VirtualClock(), []);
  assert.deepEqual(
    learned.toSorted((a, b) => a - b),
    times,
  );
  assert.equal(revocations.readable, true);
  assert.ok(client.skipped < 3_000, `${client.skipped} were passed over`);
  await close();
});

test('a Redis that was emptied without a break is filled again by every gateway', async () => {
  const [client, clock] = [new FakeRedis(), new VirtualClock()];
  const gateways = [await begin(client, clock, [entry(1)]), await begin(client, clock, [entry(2)])];
  assert.equal(client.dated.size, 2);
  client.flush();
  await clock.advance(2_000);
  assert.equal(client.dated.size, 2);
  assert.ok(gateways.every(({ revocations }) => revocations.readable));
  await Promise.all(gateways.map(({ close }) => close()));
});
