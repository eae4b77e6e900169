/**
 * What is counted of devices and remembered of requests: in this process alone, or together with other gateways where
 * Redis is configured. Alone, nothing of Redis is even loaded.
 */
import { secretFolder } from '../../shared/run/files.js';
import type { RevocationStore } from './capabilities/revocation-store.js';
import type { GatewayConfig } from './config.js';
import type { GatewayFiles } from './files.js';
import { DeviceLimits } from './limits/devices.js';
import { type FrameGate, MemoryGate } from './limits/frame-gate.js';
import { type NonceMemory, Nonces } from './limits/nonces.js';
import type { SharedLimits, SharingBase } from './redis/shared.js';

/** All accounts' nonces together, in multiples of what one may have. */
const NONCE_SHARES = 10;

export interface Counting {
  readonly gate: FrameGate;
  readonly nonces: NonceMemory;
  /** Where the revoked set is kept, if not in the state folder alone. */
  readonly revocations: RevocationStore | undefined;
  /** Devices whose limits are counted today. */
  readonly devices: number;
  /** Looks for the other gateways; resolves after the first look, whatever it found. */
  start(): Promise<void>;
  /** Waits for the other gateways no longer: frames that do end now. */
  stop(): void;
  close(): Promise<void>;
}

/** Opens no socket before `start`. */
export async function openCounting(
  config: GatewayConfig,
  files: Pick<GatewayFiles, 'redis'>,
  base: SharingBase,
): Promise<Counting> {
  const { limits, test_environment, redis } = config;
  const devices = new DeviceLimits({
    ...base,
    capacity: limits.devices,
    limitsTest: test_environment?.device_limits ?? true,
    gateways: redis?.gateways ?? 1,
  });
  const gate = new MemoryGate(devices);
  const nonces = new Nonces(limits.nonces_per_subscriber * NONCE_SHARES);
  let shared: SharedLimits | undefined;
  if (redis !== undefined) {
    secretFolder(config.state);
    const { shareLimits } = await import('./redis/shared.js');
    shared = await shareLimits({ ...base, config, redis, files: files.redis, alone: gate, nonces });
  }
  return {
    gate: shared?.gate ?? gate,
    nonces: shared?.nonces ?? nonces,
    revocations: shared?.revocations,
    get devices() {
      return devices.size + (shared?.gate.devices ?? 0);
    },
    start: async () => shared?.start(),
    stop: () => shared?.stop(),
    async close() {
      await shared?.close();
      devices.close();
    },
  };
}
