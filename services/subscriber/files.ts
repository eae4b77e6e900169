/** Every file that the subscriber's configuration names, and how it is used (`checkFiles`). */
import { readFileSync } from 'node:fs';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { readIdentityKey } from '../../shared/crypto/identity-key.js';
import type { FileCheck } from '../../shared/run/config.js';
import { loadIdentity, type NtfIdentity } from './clients/identity.js';
import type { SubscriberConfig } from './config.js';
import { loadServiceIdentity } from './sources/smp/service-identity.js';

export function subscriberFiles(config: SubscriberConfig, crypto: Crypto): FileCheck[] {
  const { identity_key, smp, gateways, listeners } = config;
  const service = smp.service_certificate;
  return [
    ['identity_key', () => readIdentityKey(crypto, identity_key)],
    ...(service === undefined
      ? []
      : [['smp.service_certificate', () => loadServiceIdentity(crypto, service)] as const]),
    ...gateways.flatMap(({ ca_file }, i): FileCheck[] =>
      ca_file === undefined ? [] : [[`gateways.${i}.ca_file`, () => readFileSync(ca_file)]],
    ),
    ...listeners.map((listener, i) => [`listeners.${i}`, () => listenerIdentity(crypto, listener)] as const),
  ];
}

/** What phones know a listener by. Throws `IdentityError` or `SecretFileError`. */
export const listenerIdentity = (
  crypto: Crypto,
  listener: SubscriberConfig['listeners'][number],
): NtfIdentity =>
  loadIdentity(crypto, {
    caCertificate: listener.ca_certificate,
    certificate: listener.certificate,
    privateKey: listener.private_key,
  });
