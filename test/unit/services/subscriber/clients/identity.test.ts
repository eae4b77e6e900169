import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  IdentityError,
  loadIdentity,
  makeIdentity,
} from '../../../../../services/subscriber/clients/identity.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import {
  createIdentity,
  createServerCertificate,
  pemBlocks,
  toPem,
} from '../../../../../shared/crypto/x509.js';
import { decodePrivateKey } from '../../../../../shared/encoding/keys.js';
import { SecretFileError } from '../../../../../shared/run/files.js';

describe('identity of the NTF server', () => {
  let crypto: Crypto;
  let folder: string;
  before(async () => {
    crypto = await loadCrypto();
    folder = mkdtempSync(join(tmpdir(), 'identity-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const make = (algorithm: 'ed25519' | 'ed448' = 'ed448') => {
    const made = createIdentity({ algorithm, commonName: 'ntf.example', now: new Date() });
    const ca = toPem('CERTIFICATE', made.caCert);
    const leaf = toPem('CERTIFICATE', made.leafCert);
    return { ...made, ca, leaf, key: toPem('PRIVATE KEY', made.leafKey) };
  };

  it('reads the files of ntf-server init', () => {
    const { ca, leaf, key, fingerprint, leafKey, leafCert, caCert } = make();
    const files = {
      caCertificate: join(folder, 'ca.crt'),
      certificate: join(folder, 'server.crt'),
      privateKey: join(folder, 'server.key'),
    };
    writeFileSync(files.caCertificate, ca);
    writeFileSync(files.certificate, leaf);
    writeFileSync(files.privateKey, key, { mode: 0o600 });
    const identity = loadIdentity(crypto, files);
    assert.deepEqual(identity.keyHash, fingerprint);
    assert.deepEqual(identity.signingKey, { ...decodePrivateKey(leafKey) });
    assert.deepEqual(
      pemBlocks(identity.chain).map((block) => block.der),
      [leafCert, caCert],
    );
    chmodSync(files.privateKey, 0o644);
    assert.throws(() => loadIdentity(crypto, files), SecretFileError);
    const missing = { ...files, certificate: join(folder, 'none') };
    chmodSync(files.privateKey, 0o600);
    assert.throws(() => loadIdentity(crypto, missing), IdentityError);
  });

  it('counts a certificate once that is in both files', () => {
    const { ca, leaf, key } = make('ed25519');
    assert.equal(pemBlocks(makeIdentity(crypto, leaf + ca + ca, key).chain).length, 2);
  });

  it('refuses what clients would refuse, without quoting it', () => {
    const { ca, leaf, key } = make();
    const other = make();
    const web = createServerCertificate({ host: 'ntf.example', now: new Date() });
    const webCertificate = toPem('CERTIFICATE', web.certificate);
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    for (const [certificates, privateKey] of [
      [leaf, key],
      ['', key],
      [leaf + ca, other.key],
      [leaf + other.ca, key],
      [leaf + broken, key],
      [leaf + ca, 'secret'],
      [webCertificate + ca, toPem('PRIVATE KEY', web.privateKey)],
      [leaf + ca + make().ca + make().ca + make().ca, key],
    ] as const) {
      assert.throws(
        () => makeIdentity(crypto, certificates, privateKey),
        (error: Error) => {
          return error instanceof IdentityError && !error.message.includes('secret');
        },
      );
    }
  });
});
