/** The gateway's part for capabilities, whole, in a temporary folder: for tests of what is revoked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Capabilities } from '../../services/gateway/capabilities/capabilities.js';
import { Epochs } from '../../services/gateway/capabilities/epochs.js';
import { KeyFolder } from '../../services/gateway/capabilities/key-folder.js';
import { revocationMetrics } from '../../services/gateway/capabilities/metrics.js';
import { RevocationFolder } from '../../services/gateway/capabilities/revocation-folder.js';
import type { RevocationStore } from '../../services/gateway/capabilities/revocation-store.js';
import { Revocations } from '../../services/gateway/capabilities/revocations.js';
import { Revoking } from '../../services/gateway/capabilities/revoking.js';
import { SealingKeys } from '../../services/gateway/capabilities/sealing-keys.js';
import { openSharedKey } from '../../services/gateway/capabilities/shared-key.js';
import { OwnerRevocations } from '../../services/gateway/limits/owner-revocations.js';
import type { Subscribers } from '../../services/gateway/limits/subscribers.js';
import type { Signer } from '../../services/gateway/push/pusher.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { latin1 } from '../../shared/encoding/bytes.js';
import type { VirtualClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';

export interface CapabilityPartOptions {
  readonly crypto: Crypto;
  readonly clock: VirtualClock;
  /** State folder; replicas have one together. */
  readonly state: string;
  readonly hasOneSubscriber?: boolean;
  readonly capacity?: { readonly proven: number; readonly owner: number };
  readonly store?: RevocationStore;
}

export interface CapabilityPart {
  readonly capabilities: Capabilities;
  readonly revocations: Revocations;
  readonly revoking: Revoking;
  readonly sealingKeys: SealingKeys;
  readonly metrics: Metrics;
  close(): void;
}

export const temporaryState = (): { readonly state: string; readonly remove: () => void } => {
  const state = mkdtempSync(join(tmpdir(), 'porchlight-revocations-'));
  return { state, remove: () => rmSync(state, { recursive: true }) };
};

export const signerOf = (tag: Uint8Array): Signer => ({ tag, tagText: latin1(tag), block: '' });

/** Nobody here has a proven device. */
const NOBODY = { account: () => ({ established: false }) } as unknown as Subscribers;

/** One replica. */
export async function startCapabilityPart(options: CapabilityPartOptions): Promise<CapabilityPart> {
  const { crypto, clock, state, hasOneSubscriber = false } = options;
  const base = { crypto, clock, log: silentLog };
  const folder = (name: string) => new KeyFolder(join(state, name), name);
  const epochs = new Epochs({ ...base, folder: folder('epochs') });
  const sealingKeys = new SealingKeys({ ...base, folder: folder('sealing') });
  const metrics = new Metrics('test_');
  const revocations = new Revocations({
    ...base,
    metrics: metrics.add(revocationMetrics),
    key: openSharedKey(crypto, join(state, 'revocation.key'), 'key'),
    store: options.store ?? new RevocationFolder({ ...base, path: join(state, 'revoked') }),
    capacity: options.capacity ?? { proven: 1_000, owner: 250 },
  });
  await revocations.start();
  const keys = { epochs, sealingKeys, tagKey: openSharedKey(crypto, join(state, 'device-tag.key'), 'key') };
  const serves = () => true;
  const capabilities = new Capabilities({
    ...base,
    ...keys,
    serves,
    revocations,
    hasOneSubscriber: () => hasOneSubscriber,
  });
  const allowance = new OwnerRevocations(clock, NOBODY);
  const revoking = new Revoking({ ...base, ...keys, capabilities, revocations, serves, allowance });
  return {
    capabilities,
    revocations,
    revoking,
    sealingKeys,
    metrics,
    close() {
      epochs.close();
      sealingKeys.close();
      void revocations.close();
    },
  };
}
