/** A service certificate as `porchlight init` makes it, for tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  loadServiceIdentity,
  type ServiceIdentity,
} from '../../services/subscriber/sources/smp/service-identity.js';
import { createServiceCertificate, toPem } from '../../shared/crypto/x509.js';
import { writeSecretFile } from '../../shared/run/files.js';
import { native as crypto } from './crypto.js';

/** The identity in this PEM text, read the way a service does. */
export function serviceIdentityFrom(pem: string): ServiceIdentity {
  const folder = mkdtempSync(join(tmpdir(), 'service-'));
  try {
    const file = join(folder, 'service.pem');
    writeSecretFile(file, pem);
    return loadServiceIdentity(crypto, file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function servicePem(now = new Date('2026-01-01')): string {
  const { certificate, privateKey } = createServiceCertificate({ commonName: 'simplex', now });
  return toPem('CERTIFICATE', certificate) + toPem('PRIVATE KEY', privateKey);
}

export const newServiceIdentity = (): ServiceIdentity => serviceIdentityFrom(servicePem());
