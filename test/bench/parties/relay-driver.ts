/** A subscriber's end of the link alone: the real link, frames under capabilities that were made for it. */

import type { GatewayLink } from '../../../services/subscriber/outbound/gateway-link.js';
import { createGatewayLink } from '../../../services/subscriber/outbound/link.js';
import { linkMetrics } from '../../../services/subscriber/outbound/metrics.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { PAYLOAD_SIZE } from '../../../shared/relay/batch.js';
import { parseGatewayAddress } from '../../../shared/relay/identity.js';
import { seconds, systemClock } from '../../../shared/run/clock.js';
import { silentLog } from '../../../shared/run/log.js';
import { Metrics } from '../../../shared/run/metrics.js';
import { serve } from '../child.js';
import { until } from '../harness.js';

export interface RelayDriverOptions {
  readonly address: string;
  /** Of the identity that the capabilities name. */
  readonly seed: Uint8Array;
  readonly capabilities: readonly Uint8Array[];
}

let link: GatewayLink;
let capabilities: readonly Uint8Array[];
let random: (size: number) => Uint8Array;
let next = 0;

async function push(payload: Uint8Array, expiry: number): Promise<void> {
  const capability = capabilities[next++ % capabilities.length]!;
  const fresh = { id: random(16), nonce: random(24), capability, payload, expiry };
  const outcome = await link.push({ kind: 'message', urgent: true, slot: 0, ...fresh });
  if (outcome.kind !== 'accepted') throw new Error(`${outcome.kind} ${outcome.reason}`);
}

const api = {
  async open(options: RelayDriverOptions): Promise<void> {
    const crypto = await loadCrypto();
    random = (size) => crypto.randomBytes(size);
    capabilities = options.capabilities;
    link = createGatewayLink({
      address: parseGatewayAddress(options.address)!,
      identity: crypto.ed25519KeyPair(options.seed),
      crypto,
      clock: systemClock,
      log: silentLog,
      metrics: new Metrics('').add(linkMetrics),
      random: Math.random,
    });
    await until('link', () => link.available);
  },
  /** `count` frames, `inFlight` at a time. */
  async push(count: number, inFlight: number): Promise<void> {
    const payload = random(PAYLOAD_SIZE);
    const expiry = seconds(systemClock) + 3600;
    let left = count;
    const worker = async (): Promise<void> => {
      while (left-- > 0) await push(payload, expiry);
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
  },
};
export type RelayDriver = typeof api;
serve(api);
