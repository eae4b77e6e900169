/** Every file that the subscriber's configuration names, opened. */
import { readFileSync } from 'node:fs';
import type { Crypto, KeyPair } from '../../shared/crypto/crypto.js';
import { readIdentityKey } from '../../shared/crypto/identity-key.js';
import { ConfigFiles } from '../../shared/run/config.js';
import { pathOf } from '../../shared/run/files.js';
import { loadIdentity, type NtfIdentity } from './clients/identity.js';
import type { SubscriberConfig } from './config.js';
import { loadServiceIdentity } from './sources/smp/service-identity.js';

export interface SubscriberFiles {
  readonly identity: KeyPair;
  readonly service: ReturnType<typeof loadServiceIdentity> | undefined;
  /** What phones know each listener by, by its name. */
  readonly listeners: ReadonlyMap<string, NtfIdentity>;
}

/** The gateways' authorities are only judged here: each link reads its own. Throws `ConfigError`. */
export function openSubscriberFiles(config: SubscriberConfig, crypto: Crypto): SubscriberFiles {
  const files = new ConfigFiles();
  const identity = files.use('identity_key', () => readIdentityKey(crypto, config.identity_key));
  const certificate = config.smp.service_certificate;
  const service =
    certificate === undefined
      ? undefined
      : files.use('smp.service_certificate', () => loadServiceIdentity(crypto, certificate));
  for (const [i, { ca_file }] of config.gateways.entries()) {
    if (ca_file !== undefined) files.use(`gateways.${i}.ca_file`, () => readFileSync(pathOf(ca_file)));
  }
  const listeners = new Map<string, NtfIdentity>();
  for (const [i, listener] of config.listeners.entries()) {
    const { name, ca_certificate: caCertificate, certificate, private_key: privateKey } = listener;
    const load = () => loadIdentity(crypto, { caCertificate, certificate, privateKey });
    listeners.set(name, files.use(`listeners.${i}`, load));
  }
  files.check();
  return { identity, service, listeners };
}
