/** Identities made elsewhere: the files that `ntf-server init` makes with the openssl program (guide B.3). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadIdentity } from '../../services/subscriber/clients/identity.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { needsCommand } from '../support/needs.js';
import { NtfTestClient } from '../support/ntf-client.js';
import { startTestNtfServer } from '../support/ntf-server.js';

const CA_CONFIG = `[req]
distinguished_name = req_distinguished_name
prompt = no
x509_extensions = v3_ca
[req_distinguished_name]
CN = SMP server CA
O = SimpleX
[v3_ca]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
basicConstraints = critical,CA:true
`;
const LEAF_EXTENSIONS = `basicConstraints = CA:FALSE
keyUsage = digitalSignature, nonRepudiation, keyAgreement
extendedKeyUsage = serverAuth
`;

let folder: string;
before(() => {
  needsCommand('openssl', 'openssl');
  folder = mkdtempSync(join(tmpdir(), 'porchlight-openssl-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const openssl = (...args: string[]): string =>
  execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

function makeFiles(algorithm: string): { caCertificate: string; certificate: string; privateKey: string } {
  writeFileSync(join(folder, 'ca.conf'), CA_CONFIG);
  writeFileSync(join(folder, 'leaf.ext'), LEAF_EXTENSIONS);
  openssl('genpkey', '-algorithm', algorithm, '-out', 'ca.key');
  openssl(
    'req',
    '-new',
    '-x509',
    '-days',
    '999999',
    '-config',
    'ca.conf',
    '-key',
    'ca.key',
    '-out',
    'ca.crt',
  );
  openssl('genpkey', '-algorithm', algorithm, '-out', 'server.key');
  openssl('req', '-new', '-subj', '/CN=localhost', '-key', 'server.key', '-out', 'server.csr');
  const signing = [
    '-req',
    '-days',
    '999999',
    '-in',
    'server.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
  ];
  openssl('x509', ...signing, '-extfile', 'leaf.ext', '-out', 'server.crt');
  chmodSync(join(folder, 'server.key'), 0o600);
  const at = (name: string) => join(folder, name);
  return { caCertificate: at('ca.crt'), certificate: at('server.crt'), privateKey: at('server.key') };
}

describe('identities made by openssl', () => {
  for (const algorithm of ['ED25519', 'ED448']) {
    it(`${algorithm}: clients find the server by the authority's fingerprint`, async () => {
      const crypto = await loadCrypto();
      const identity = loadIdentity(crypto, makeFiles(algorithm));
      const printed = openssl('x509', '-in', 'ca.crt', '-noout', '-fingerprint', '-sha256');
      const fingerprint = printed.trim().split('=')[1]!.replaceAll(':', '').toLowerCase();
      assert.equal(Buffer.from(identity.keyHash).toString('hex'), fingerprint);
      const server = await startTestNtfServer({ identity });
      try {
        const { port } = server.listener;
        const client = await NtfTestClient.connect({
          port,
          keyHash: identity.keyHash,
          crypto,
          alpn: ['ntf/1'],
        });
        assert.equal(await client.text({ word: 'PING' }), 'PONG');
        client.close();
      } finally {
        await server.listener.close();
      }
    });
  }
});
