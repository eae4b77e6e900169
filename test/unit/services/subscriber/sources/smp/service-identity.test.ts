import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadServiceIdentity } from '../../../../../../services/subscriber/sources/smp/service-identity.js';
import { createIdentity, pemBlocks, toPem } from '../../../../../../shared/crypto/x509.js';
import { SecretFileError, writeSecretFile } from '../../../../../../shared/run/files.js';
import { native as crypto } from '../../../../../support/crypto.js';
import { serviceIdentityFrom, servicePem } from '../../../../../support/service-identity.js';

const chain = (algorithm: 'ed25519' | 'ed448') => {
  const made = createIdentity({ algorithm, commonName: 'a', now: new Date('2026-01-01') });
  const certificates = toPem('CERTIFICATE', made.leafCert) + toPem('CERTIFICATE', made.caCert);
  return { ...made, certificates, key: toPem('PRIVATE KEY', made.leafKey) };
};

describe('service identity', () => {
  test('one certificate is its own identity; of a chain it is the second', () => {
    const pem = servicePem();
    const single = serviceIdentityFrom(pem);
    assert.equal(single.chain.length, 1);
    assert.deepEqual(single.certHash, crypto.sha256(pemBlocks(pem)[0]!.der));
    for (const algorithm of ['ed25519', 'ed448'] as const) {
      const made = chain(algorithm);
      const identity = serviceIdentityFrom(made.key + made.certificates);
      assert.deepEqual(identity.chain, [made.leafCert, made.caCert]);
      assert.deepEqual(identity.certHash, made.fingerprint);
      assert.equal(identity.signingKey.algorithm, algorithm);
    }
  });

  const made = chain('ed25519');
  const other = chain('ed25519');
  const wrong: [what: string, pem: string][] = [
    ['nothing', ''],
    ['no key', made.certificates],
    ['no certificate', made.key],
    ['the key of another', made.certificates + other.key],
    ['the chain in the wrong order', toPem('CERTIFICATE', made.caCert) + made.certificates + made.key],
    ['two keys', made.certificates + made.key + other.key],
    ['five certificates', made.certificates + made.certificates + made.certificates + made.key],
    ['garbage', toPem('CERTIFICATE', Uint8Array.of(1, 2, 3)) + made.key],
  ];
  for (const [what, pem] of wrong) {
    test(`refuses ${what}`, () => {
      assert.throws(() => serviceIdentityFrom(pem), SecretFileError);
    });
  }

  test('refuses a file that others may read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'service-'));
    try {
      const file = join(folder, 'service.pem');
      writeSecretFile(file, servicePem());
      chmodSync(file, 0o644);
      assert.throws(() => loadServiceIdentity(crypto, file), /chmod 600/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
