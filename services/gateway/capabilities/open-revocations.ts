/** The revoked set of a configuration: its key and, unless another store is given, its files in the state folder. */
import { join } from 'node:path';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { Metrics } from '../../../shared/run/metrics.js';
import type { GatewayConfig } from '../config.js';
import { revocationMetrics } from './metrics.js';
import { RevocationFolder } from './revocation-folder.js';
import type { RevocationStore } from './revocation-store.js';
import { Revocations } from './revocations.js';
import { openSharedKey } from './shared-key.js';

/** In the state folder. */
export const REVOKED_FOLDER = 'revoked';

interface Base {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Throws `SecretFileError` where others may read the folder. */
export function openRevocations(
  { state, limits }: GatewayConfig,
  { metrics, ...base }: Base,
  store: RevocationStore = new RevocationFolder({ ...base, path: join(state, REVOKED_FOLDER) }),
): Revocations {
  const key = openSharedKey(base.crypto, join(state, 'revocation.key'), 'revocation key');
  const capacity = { proven: limits.revocations, owner: Math.ceil(limits.revocations / 4) };
  return new Revocations({ ...base, metrics: metrics.add(revocationMetrics), key, store, capacity });
}
