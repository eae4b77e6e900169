/** Whether Redis answers, in time, and takes a key: what the gateway asks of it at its start. */
import type { Clock } from '../../../shared/run/clock.js';
import type { Finding } from '../../../shared/run/doctor.js';
import { openRedis, type RedisClient, reasonOf } from '../redis/client.js';
import { isCluster, type RedisConfig } from '../redis/config.js';
import type { RedisFiles } from '../redis/files.js';

const NAME = 'redis';
/** For the connection, with TLS and all; an answer has `timeout_ms`. */
const CONNECT_MS = 3_000;

/** What is seen, and what to do. At a wrong password the library only says that there is no connection. */
const TROUBLES = {
  connection: [
    'no connection: not there, or it refuses this gateway',
    'start it; see redis.urls, username and password_file and, with rediss://, ca_file and server_name',
  ],
  refused: ['refuses a command', 'let the ACL of redis.username allow what the README of the gateway names'],
  error: ['takes no key', 'see its log: a full memory, or a replica in place of the master?'],
} as const;

/** Pushes go on without it, each gateway by its share: a failure all the same, for somebody configured it. */
export async function examineRedis(redis: RedisConfig, files: RedisFiles, clock: Clock): Promise<Finding> {
  const { urls, username, server_name: serverName, prefix, timeout_ms: timeoutMs } = redis;
  const client = await openRedis({ urls, isCluster: isCluster(redis), username, serverName, ...files });
  try {
    await orTimeout(clock, CONNECT_MS, client.connect());
    return await probe(client, `${prefix}probe`, timeoutMs, clock);
  } catch (error) {
    const reason = error instanceof TooLate ? 'connection' : reasonOf(error);
    const [detail, fix] = TROUBLES[reason === 'slow' ? 'connection' : reason];
    return { name: NAME, state: 'failed', detail, fix };
  } finally {
    client.close();
  }
}

async function probe(client: RedisClient, key: string, timeoutMs: number, clock: Clock): Promise<Finding> {
  const start = clock.monotonic();
  await orTimeout(clock, CONNECT_MS, client.probe(key));
  const ms = clock.monotonic() - start;
  if (ms <= timeoutMs) return { name: NAME, state: 'ok', detail: 'answers, and takes keys', ms };
  const fix = `a push waits for it ${timeoutMs} ms at most: bring it nearer, or raise redis.timeout_ms`;
  return { name: NAME, state: 'warning', detail: 'answers too late', ms, fix };
}

class TooLate extends Error {}

function orTimeout<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => reject(new TooLate()));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
