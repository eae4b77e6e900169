/** What a subscriber hands to the people who use it: an address for each app that it serves, in both forms. */

import type { Crypto } from '../../shared/crypto/crypto.js';
import { fromBase64url, toBase64url, toBase64urlBare } from '../../shared/encoding/base64url.js';
import { hostPort } from '../../shared/encoding/host-port.js';
import { NTF_DEFAULT_PORT } from '../../shared/ntf/constants.js';
import { ConfigError } from '../../shared/run/config.js';
import { formatPairing } from '../../shared/sdk/pairing.js';
import { identityHash } from './clients/identity.js';
import type { SubscriberConfig } from './config.js';

export interface ListenerAddress {
  /** Name of the listener. */
  readonly name: string;
  readonly topic: string;
  /** For apps on the SDK, `porchlight://…`. */
  readonly pairing: string;
  /** For stock apps, `ntf://FINGERPRINT@HOST[:PORT]`. */
  readonly ntf: string;
}

/** Reads certificates only, no key. Throws `ConfigError` where a listener doesn't say how phones reach it. */
export function addressesOf(config: SubscriberConfig, crypto: Crypto): ListenerAddress[] {
  const gateways = new Map(config.gateways.map(({ name, address }) => [name, address]));
  return config.listeners.map((listener, i) => {
    const { name, topic, profile, public_address: place } = listener;
    if (place === undefined) {
      throw new ConfigError([
        `listeners.${i}.public_address: expected HOST:PORT under which phones reach it`,
      ]);
    }
    const { certificate, ca_certificate: caCertificate } = listener;
    const keyHash = identityHash(crypto, { certificate, caCertificate });
    const address = gateways.get(listener.gateway)!;
    const gateway = { ...address, fingerprint: toBase64urlBare(fromBase64url(address.fingerprint)!) };
    const subscriber = { keyHash, host: place.host.toLowerCase(), port: place.port };
    try {
      const pairing = formatPairing({ subscriber, gateway, topic, profile });
      return { name, topic, pairing, ntf: ntfAddress(keyHash, place) };
    } catch {
      throw new ConfigError([`listeners.${i}: expected a public_address and a topic that fit into a URI`]);
    }
  });
}

function ntfAddress(keyHash: Uint8Array, { host, port }: { host: string; port: number }): string {
  return `ntf://${toBase64url(keyHash)}@${hostPort(host, port, NTF_DEFAULT_PORT)}`;
}
