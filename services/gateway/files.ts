/** Every file that the gateway's configuration names, opened; and what else only a try can tell of it. */
import { readFileSync } from 'node:fs';
import type { Crypto, KeyPair } from '../../shared/crypto/crypto.js';
import { readIdentityKey } from '../../shared/crypto/identity-key.js';
import { ConfigFiles } from '../../shared/run/config.js';
import { pathOf } from '../../shared/run/files.js';
import { readSigningKey } from './apns/signing-key.js';
import { profileOf } from './apps.js';
import type { GatewayConfig } from './config.js';
import { openRedisFiles, type RedisFiles } from './redis/files.js';
import { readTls, type TlsMaterial } from './tls.js';

export interface GatewayFiles {
  readonly identity: KeyPair;
  readonly tls: TlsMaterial | undefined;
  readonly redis: RedisFiles;
}

/** Signing keys and the test authority are only judged here: the engine reads them when it needs them. Throws `ConfigError`. */
export function openGatewayFiles(config: GatewayConfig, crypto: Crypto): GatewayFiles {
  const files = new ConfigFiles();
  const identity = files.use('identity_key', () => readIdentityKey(crypto, config.identity_key));
  const tls = config.tls && files.use('tls', () => readTls(crypto, config.tls!));
  for (const [i, { file }] of config.keys.entries()) files.use(`keys.${i}.file`, () => readSigningKey(file));
  const ca = config.test_environment?.ca_file;
  if (ca !== undefined) files.use('test_environment.ca_file', () => readFileSync(pathOf(ca)));
  for (const [i, app] of config.apps.entries()) files.use(`apps.${i}`, () => profileOf(app));
  const redis = openRedisFiles(files, config.redis);
  files.check();
  return { identity, tls, redis };
}
