/** The parts of one gateway that ask Redis, without a gateway around them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import { type Counting, openCounting } from '../../services/gateway/counting.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { type Clock, systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import { configFor } from './gateway.js';

/** A state folder for gateways that belong together. */
export const stateFolder = (): { path: string; remove: () => void } => {
  const path = mkdtempSync(join(tmpdir(), 'porchlight-shared-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
};

export interface CountingOptions {
  readonly state: string;
  /** The table `[redis]`. */
  readonly redis: Readonly<Record<string, unknown>>;
  readonly password?: string;
  readonly ca?: string;
  readonly clock?: Clock;
}

/** Counts as one of several gateways; started. */
export async function startCounting(options: CountingOptions): Promise<Counting & { metrics: Metrics }> {
  const { state, redis, password, ca, clock = systemClock } = options;
  const config = gatewayConfigSchema.parse({ ...configFor(state), redis });
  const crypto = await loadCrypto();
  const metrics = new Metrics('test_');
  const files = { redis: { password, ca } };
  const counting = await openCounting(config, files, { crypto, clock, log: silentLog, metrics });
  await counting.start();
  return Object.assign(counting, { metrics });
}
