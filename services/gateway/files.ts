/** Every file that the gateway's configuration names, and how it is used (`checkFiles`). */
import { readFileSync } from 'node:fs';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { readIdentityKey } from '../../shared/crypto/identity-key.js';
import type { FileCheck } from '../../shared/run/config.js';
import { readSigningKey } from './apns/signing-key.js';
import type { GatewayConfig } from './config.js';
import { readTls } from './tls.js';

export function gatewayFiles(config: GatewayConfig, crypto: Crypto): FileCheck[] {
  const { tls, keys, identity_key, test_environment } = config;
  const ca = test_environment?.ca_file;
  return [
    ['identity_key', () => readIdentityKey(crypto, identity_key)],
    ...(tls ? [['tls', () => readTls(crypto, tls)] as const] : []),
    ...keys.map(({ file }, i) => [`keys.${i}.file`, () => readSigningKey(file)] as const),
    ...(ca === undefined ? [] : [['test_environment.ca_file', () => readFileSync(ca)] as const]),
  ];
}
