/** The listener's certificate, and the hash by which the signed statement names its key (relay.md §1). */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { pathOf, readSecretFile, SecretFileError } from '../../shared/run/files.js';
import type { GatewayConfig } from './config.js';

export interface TlsMaterial {
  readonly cert: string;
  readonly key: Buffer;
  /** SHA-256 of the certificate's SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
}

/** Reads the files; throws where they are missing, the key is readable by others, or they don't belong together. */
export function readTls(crypto: Crypto, config: NonNullable<GatewayConfig['tls']>): TlsMaterial {
  const cert = readFileSync(pathOf(config.certificate), 'utf8');
  const key = readSecretFile(config.private_key);
  const first = new X509Certificate(cert);
  if (!first.checkPrivateKey(createPrivateKey(key))) {
    throw new SecretFileError(
      `${config.private_key}: not the key of the first certificate in ${config.certificate}`,
    );
  }
  const spki = first.publicKey.export({ format: 'der', type: 'spki' });
  return { cert, key, spki: crypto.sha256(spki) };
}
