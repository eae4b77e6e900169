import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RevocationEntry } from '../../../../../services/gateway/capabilities/revocation-store.js';
import { RedisLink } from '../../../../../services/gateway/redis/link.js';
import { redisMetrics } from '../../../../../services/gateway/redis/metrics.js';
import { RedisRevocations } from '../../../../../services/gateway/redis/revocations.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
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
