/** The revoked set of gateways that share a Redis and no folder. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type {
  RevocationEntry,
  RevocationStore,
} from '../../services/gateway/capabilities/revocation-store.js';
import type { Counting } from '../../services/gateway/counting.js';
import { startCounting, stateFolder } from '../support/redis-gate.js';
import { RedisServer } from '../support/redis-server.js';
import { eventually } from '../support/world/eventually.js';

const entry = (time: number): RevocationEntry => ({
  pool: 'proven',
  time,
  lookup: 7,
  hash: new Uint8Array(randomBytes(20)),
});

/** One gateway with a folder of its own, and what its store told it. */
class Replica {
  readonly state = stateFolder();
  readonly learned = new Set<number>();
  counting!: Counting;

  get store(): RevocationStore {
    return this.counting.revocations!;
  }

  async start(url: string): Promise<void> {
    const redis = { urls: [url], timeout_ms: 3_000 };
    this.counting = await startCounting({ state: this.state.path, redis });
    await this.store.start((entries) => {
      for (const { time } of entries) this.learned.add(time);
    });
  }

  async stop(): Promise<void> {
    await this.store.close();
    await this.counting.close();
  }
}

describe('revocations', () => {
  const [a, b, late] = [new Replica(), new Replica(), new Replica()];
  let server: RedisServer;
  before(async () => {
    server = await RedisServer.start();
    await Promise.all([a.start(server.url), b.start(server.url)]);
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop(), late.stop()]);
    for (const { state } of [a, b, late]) state.remove();
    await server.close();
  });

  test('what one appends the other learns, and so does one that starts later', async () => {
    await a.store.append(Array.from({ length: 1_200 }, (_, i) => entry(i + 1)));
    await b.store.append([entry(5_000)]);
    await eventually('all at both', () => a.learned.size === 1_201 && b.learned.size === 1_201);
    await late.start(server.url);
    assert.equal(late.learned.size, 1_201);
    assert.equal(late.store.readable, true);
  });

  test('without Redis nothing is readable, and what is appended survives', async () => {
    await server.kill();
    await eventually('unreadable', () => !a.store.readable && !late.store.readable);
    await a.store.append([entry(6_000)]);
  });

  test('a Redis that comes back empty is filled again', async () => {
    await server.start();
    await eventually('learned', () => late.learned.has(6_000) && late.store.readable);
    const count = async () => server.command('ZCARD', 'porchlight:revoked');
    await eventually('filled by both', async () => (await count()) === 1_202);
    assert.ok(Number(await server.command('TTL', 'porchlight:revoked')) > 45 * 86_400);
  });

  test('so is one that was emptied without a break', async () => {
    await server.command('FLUSHALL');
    const count = async () => server.command('ZCARD', 'porchlight:revoked');
    await eventually('filled again', async () => (await count()) === 1_202);
  });
});
