/** Puts together what gateways share through Redis. Loaded only where it is configured. */
import { join } from 'node:path';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { Metrics } from '../../../shared/run/metrics.js';
import { REVOKED_FOLDER } from '../capabilities/open-revocations.js';
import { RevocationFolder } from '../capabilities/revocation-folder.js';
import type { RevocationEntry, RevocationStore } from '../capabilities/revocation-store.js';
import { openSharedKey } from '../capabilities/shared-key.js';
import type { GatewayConfig } from '../config.js';
import type { FrameGate } from '../limits/frame-gate.js';
import type { NonceMemory, Nonces } from '../limits/nonces.js';
import { openRedis } from './client.js';
import { isCluster, type RedisConfig } from './config.js';
import { DayKeys } from './day-keys.js';
import type { RedisFiles } from './files.js';
import { RedisGate } from './gate.js';
import { RedisLink } from './link.js';
import { redisMetrics } from './metrics.js';
import { RedisNonces } from './nonces.js';
import { RedisRevocations } from './revocations.js';
import { Tickets } from './ticket.js';

/** In the state folder, which all gateways share; Redis never has it. */
export const ROOT_FILE = 'shared-limits.key';

/** What every part of a gateway gets. */
export interface SharingBase {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface SharedOptions extends SharingBase {
  readonly config: GatewayConfig;
  readonly redis: RedisConfig;
  readonly files: RedisFiles;
  /** What this gateway counts itself. */
  readonly alone: FrameGate;
  readonly nonces: Nonces;
}

export interface SharedLimits {
  readonly gate: RedisGate;
  readonly nonces: NonceMemory;
  readonly revocations: RevocationStore;
  /** Connects; resolves after the first look at Redis, whether it is there or not. */
  start(): Promise<void>;
  /** Waits for other gateways no longer. */
  stop(): void;
  close(): Promise<void>;
}

function makeRevocations(
  { config, ...base }: SharedOptions,
  link: RedisLink,
  prefix: string,
): RevocationStore {
  const open = (): RevocationStore =>
    new RevocationFolder({ ...base, path: join(config.state, REVOKED_FOLDER) });
  const all = async (): Promise<RevocationEntry[]> => {
    const entries: RevocationEntry[] = [];
    const folder = open();
    await folder.start((some) => void entries.push(...some));
    const { readable } = folder;
    await folder.close();
    if (!readable) throw new Error('cannot be read');
    return entries;
  };
  return new RedisRevocations({ ...base, link, prefix, folder: open(), all });
}

/** Opens no socket before `start`. */
export async function shareLimits(options: SharedOptions): Promise<SharedLimits> {
  const { crypto, config, redis, files } = options;
  const { urls, username, server_name: serverName, prefix, timeout_ms: timeoutMs } = redis;
  const root = openSharedKey(crypto, join(config.state, ROOT_FILE), 'root of shared limits');
  const client = await openRedis({ urls, isCluster: isCluster(redis), username, serverName, ...files });
  const base = { ...options, metrics: options.metrics.add(redisMetrics), prefix };
  const link = new RedisLink({ ...base, client, timeoutMs });
  const keys = new DayKeys(crypto, root);
  const tickets = new Tickets(crypto, prefix, config.test_environment?.device_limits ?? true);
  const gate = new RedisGate({ ...base, link, keys, tickets, devices: config.limits.devices });
  return {
    gate,
    nonces: new RedisNonces({ ...base, link, keys, own: options.nonces }),
    revocations: makeRevocations(options, link, prefix),
    start: () => link.start(),
    stop: () => gate.stop(),
    async close() {
      await gate.close();
      link.close();
      keys.close();
      root.wipe();
    },
  };
}
