import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readTls } from '../../../../services/gateway/tls.js';
import { createServerCertificate, toPem } from '../../../../shared/crypto/x509.js';
import { SecretFileError, writeSecretFile } from '../../../../shared/run/files.js';
import { native } from '../../../support/crypto.js';

const folder = mkdtempSync(join(tmpdir(), 'porchlight-tls-'));
after(() => rmSync(folder, { recursive: true }));

function write(name: string): { certificate: string; private_key: string } {
  const made = createServerCertificate({ host: 'localhost', now: new Date() });
  const files = { certificate: join(folder, `${name}.crt`), private_key: join(folder, `${name}.key`) };
  writeFileSync(files.certificate, toPem('CERTIFICATE', made.certificate));
  writeSecretFile(files.private_key, toPem('PRIVATE KEY', made.privateKey));
  return files;
}

test('a certificate and its key are read, with the hash by which the statement names them', () => {
  const { cert, key, spki } = readTls(native, write('right'));
  assert.ok(cert.includes('BEGIN CERTIFICATE') && key.includes('BEGIN PRIVATE KEY'));
  assert.equal(spki.length, 32);
});

test('a key of another certificate refuses the start, and says which files', () => {
  const { certificate } = write('one');
  const { private_key } = write('other');
  assert.throws(
    () => readTls(native, { certificate, private_key }),
    (error) =>
      error instanceof SecretFileError && /other\.key: not the key of .*one\.crt/.test(error.message),
  );
});
