/**
 * The few commands that gateways need of Redis, over ioredis, which is loaded only where Redis is configured. Never
 * queues, never retries, never logs what ioredis says: its errors carry the arguments of commands.
 */
import { createHash } from 'node:crypto';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { Reason } from './metrics.js';
import { SCRIPT } from './script.js';

/** Reconnecting begins fast and slows down to this. */
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 2_000;
const CONNECT_MS = 2_000;
/** How often a cluster is asked who has which keys: another server may have taken over. */
const SLOTS_MS = 2_000;
/** So many reach every server of a cluster, to see whether it takes keys of its own. */
const PROBE_KEYS = 64;
/** Answers that come later than anybody waits for them are given up, so that they don't pile up. */
const FORGET_MS = 5_000;

export interface RedisServers {
  /** As in the configuration. */
  readonly urls: readonly string[];
  readonly isCluster: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** PEM text; the system's authorities without it. */
  readonly ca: string | undefined;
  /** Name in the servers' certificates, where it is not the host of the URL. */
  readonly serverName: string | undefined;
}

export type Argument = string | number;

/** A member of a sorted set, and when it came. */
export type Dated = readonly [time: number, member: string];

/** What a sorted set keeps: what came since, and no more than so many; and how long the whole lives. */
export interface SetBounds {
  readonly since: number;
  readonly most: number;
  readonly seconds: number;
}

export interface RedisClient {
  readonly isCluster: boolean;
  /** Resolves when there is a connection. Rejects where the first attempt fails; further ones are made by themselves. */
  connect(): Promise<void>;
  /** Runs the script; in a cluster all keys share a hash tag. */
  run(keys: readonly string[], args: readonly Argument[]): Promise<readonly string[]>;
  /** Values, null where there is none; in a cluster all keys share a hash tag. */
  read(keys: readonly string[]): Promise<readonly (string | null)[]>;
  /** Makes a key that lives for some seconds, with a value where one is given; false where it is there. */
  claim(key: string, seconds: number, value?: string): Promise<boolean>;
  /** Adds to a sorted set what is not in it; keeps it within bounds. */
  add(key: string, members: readonly Dated[], bounds: SetBounds): Promise<true>;
  /** Members of a sorted set that came since `time`, in that order, without the first `skip`, which costs as much as reading them. */
  since(key: string, time: number, skip: number, count: number): Promise<readonly Dated[]>;
  /** Milliseconds by the clock of Redis. Rejects unless every server answers and a key can be written. */
  probe(key: string): Promise<number>;
  /** Gives up a connection that does not answer, and makes another. */
  reconnect(): void;
  close(): void;
}

/** Loads the library; opens no socket. */
export async function openRedis(servers: RedisServers): Promise<RedisClient> {
  const ioredis = await import('ioredis');
  const first = new URL(servers.urls[0]!);
  const common = optionsOf(servers, first.protocol === 'rediss:');
  if (servers.isCluster)
    return new Client(new ioredis.Cluster(seedsOf(servers), clusterOptions(common)), true);
  const place = first.protocol === 'unix:' ? { path: first.pathname } : placeOf(first);
  return new Client(new ioredis.Redis({ ...common, ...place, retryStrategy: delay }), false);
}

const DEFAULT_PORT = 6379;

const placeOf = ({ hostname, port }: URL) => ({
  host: hostname.replace(/^\[(.*)\]$/, '$1'),
  port: port === '' ? DEFAULT_PORT : Number(port),
});

const seedsOf = ({ urls }: RedisServers) => urls.map((url) => placeOf(new URL(url)));

function optionsOf({ username, password, ca, serverName }: RedisServers, isTls: boolean) {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(isTls && {
      tls: { ...(ca !== undefined && { ca }), ...(serverName !== undefined && { servername: serverName }) },
    }),
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: FORGET_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // It would need the right to run INFO; a server that is loading says so with every answer.
    enableReadyCheck: false,
    disableClientInfo: true,
  } satisfies RedisOptions;
}

const clusterOptions = (redisOptions: ReturnType<typeof optionsOf>) => ({
  redisOptions,
  lazyConnect: true,
  enableOfflineQueue: false,
  enableReadyCheck: false,
  // Commands of one turn go to each server together: in a cluster every device has a slot of its own.
  enableAutoPipelining: true,
  clusterRetryStrategy: delay,
  // Else a server that was away is forgotten, and nothing asks again where its slots are.
  clusterNodeRetryStrategy: delay,
  slotsRefreshInterval: SLOTS_MS,
});

const delay = (attempt: number): number =>
  Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(attempt, 10));

const SHA = createHash('sha1').update(SCRIPT).digest('hex');

class Client implements RedisClient {
  readonly isCluster: boolean;
  private readonly redis: Redis | Cluster;

  constructor(redis: Redis | Cluster, isCluster: boolean) {
    this.redis = redis;
    this.isCluster = isCluster;
    // What fails is known by the command that fails; without a listener it would be printed.
    redis.on('error', () => {});
  }

  connect(): Promise<void> {
    return this.redis.connect();
  }

  async run(keys: readonly string[], args: readonly Argument[]): Promise<readonly string[]> {
    const rest = [keys.length, ...keys, ...args] as const;
    try {
      return (await this.redis.evalsha(SHA, ...rest)) as string[];
    } catch (error) {
      if (!String((error as Error).message).startsWith('NOSCRIPT')) throw error;
      return (await this.redis.eval(SCRIPT, ...rest)) as string[];
    }
  }

  read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return this.redis.mget(...keys);
  }

  async claim(key: string, seconds: number, value = '1'): Promise<boolean> {
    return (await this.redis.set(key, value, 'EX', seconds, 'NX')) === 'OK';
  }

  async add(key: string, members: readonly Dated[], { since, most, seconds }: SetBounds): Promise<true> {
    const added = this.redis.zadd(key, 'NX', ...members.flat());
    const rest = [
      this.redis.zremrangebyscore(key, 0, since),
      this.redis.zremrangebyrank(key, 0, -most - 1),
      this.redis.expire(key, seconds),
    ];
    await Promise.all([added, ...rest]);
    return true;
  }

  async since(key: string, time: number, skip: number, count: number): Promise<readonly Dated[]> {
    const range = [key, time, '+inf', 'WITHSCORES', 'LIMIT', skip, count] as const;
    const flat = await this.redis.zrangebyscore(...range);
    return Array.from({ length: flat.length / 2 }, (_, i) => [Number(flat[2 * i + 1]), flat[2 * i]!]);
  }

  async probe(key: string): Promise<number> {
    const servers = 'nodes' in this.redis ? this.redis.nodes('master') : [this.redis];
    const keys = this.isCluster ? Array.from({ length: PROBE_KEYS }, (_, n) => `${key}{${n}}`) : [key];
    const written = Promise.all(keys.map((each) => this.redis.set(each, '1', 'EX', 1)));
    const [times] = await Promise.all([Promise.all(servers.map((server) => server.time())), written]);
    if (times.length === 0) throw new Error('no servers');
    const [seconds, micros] = times[0]!.map(Number) as [number, number];
    return seconds * 1000 + Math.floor(micros / 1000);
  }

  reconnect(): void {
    this.redis.disconnect(true);
  }

  close(): void {
    this.redis.disconnect();
  }
}

const REFUSALS = /^(NOAUTH|WRONGPASS|NOPERM|NOPROTO)/;

/** What went wrong, in our own words: the errors carry keys. */
export function reasonOf(error: unknown): Reason {
  const { name, message = '' } = error as Error;
  if (name !== 'ReplyError') return 'connection';
  return REFUSALS.test(message) ? 'refused' : 'error';
}
