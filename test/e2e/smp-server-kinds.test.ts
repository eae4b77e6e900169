/** The SMP source against servers of every kind that there is (guide B): chains, curves, ports with a web server, hosts. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Identity } from '../../shared/crypto/x509.js';
import { certificate, type Issued, LEAF } from '../support/certificates.js';
import { native as crypto } from '../support/crypto.js';
import { FakeSmp, type FakeSmpListening, type FakeSmpOptions } from '../support/fake-smp.js';
import { notifierKey, smpSource } from '../support/smp-source.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function startServer(
  options: Partial<FakeSmpOptions>,
  listen: FakeSmpListening = {},
): Promise<FakeSmp> {
  const server = new FakeSmp({ crypto, ...options });
  server.checks = true;
  await server.listen(listen);
  closers.push(() => server.close());
  return server;
}

/** Follows one queue there; the source and what it reports. */
function followOne(server: FakeSmp, hosts: readonly string[] = ['localhost'], allow?: readonly string[]) {
  const made = smpSource(crypto, allow && { allow });
  closers.push(() => made.source.close());
  const queue = server.queue(0, hosts);
  assert.ok('handle' in made.source.follow(queue, notifierKey(crypto, server, queue), 0));
  return made;
}

async function serves(server: FakeSmp, ...where: [hosts?: readonly string[], allow?: readonly string[]]) {
  const { sink } = followOne(server, ...where);
  await sink.until(() => sink.last(0) === 'active');
}

/** A leaf and the certificates above it, as a server shows them. */
function identityOf([leaf, identity, ...above]: readonly Issued[]): Partial<FakeSmpOptions> {
  const made: Identity = {
    caCert: identity!.der,
    caKey: new Uint8Array(0),
    leafCert: leaf!.der,
    leafKey: leaf!.privateKey.export({ format: 'der', type: 'pkcs8' }),
    fingerprint: crypto.sha256(identity!.der),
  };
  return { identity: made, above: above.map(({ der }) => der) };
}

const leafOf = (issuer: Issued, algorithm: 'ed25519' | 'ed448' = 'ed25519'): Issued =>
  certificate({ name: 'leaf', issuer, algorithm, extensions: LEAF });

describe('SMP servers: certificates', () => {
  const root = certificate({ name: 'root', algorithm: 'ed448' });
  const between = certificate({ name: 'between', issuer: root });
  const underRoot = certificate({ name: 'identity', issuer: root });
  const deep = certificate({ name: 'identity', issuer: between, algorithm: 'ed448' });
  const chains: readonly (readonly Issued[])[] = [
    [leafOf(underRoot), underRoot],
    [leafOf(underRoot, 'ed448'), underRoot, root],
    [leafOf(deep), deep, between, root],
  ];
  for (const chain of chains) {
    for (const max of [6, 18]) {
      test(`${chain.length} certificates at version ${max}`, async () => {
        const versions = { min: 6, max };
        await serves(await startServer({ ...identityOf(chain), versions }, max === 6 ? { alpn: [] } : {}));
      });
    }
  }

  test('five certificates, or an identity that its leaf does not come from, get nothing', async () => {
    const stranger = certificate({ name: 'stranger' });
    for (const chain of [
      [leafOf(deep), deep, between, root, stranger],
      [leafOf(stranger), underRoot, stranger],
    ]) {
      const server = await startServer(identityOf(chain));
      const { sink, metrics } = followOne(server);
      await sink.until(() => sink.last(0) === 'inactive');
      assert.equal(metrics.count('smp_connects_total', 'identity'), 1);
      assert.equal(server.last.version, 0, 'no client hello');
    }
  });
});

describe('SMP servers: TLS', () => {
  for (const ecdhCurve of ['X25519:X448', 'X448', 'X25519']) {
    test(`groups ${ecdhCurve}`, async () => serves(await startServer({}, { tls: { ecdhCurve } })));
  }

  test('a port that is a web server too: never asked for by name, chacha where it prefers AES', async () => {
    const names: unknown[] = [];
    const server = await startServer(
      { algorithm: 'ed448' },
      {
        alpn: ['smp/1', 'h2', 'http/1.1'],
        tls: {
          ciphers:
            'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384',
          honorCipherOrder: true,
          ecdhCurve: 'X25519:X448:P-521',
          sigalgs: 'ed448:ed25519:ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256',
          SNICallback(name, done) {
            names.push(name);
            done(new Error('the web server'));
          },
        },
      },
    );
    await serves(server);
    assert.deepEqual(names, []);
    assert.equal(server.last.sessionId.length, 32, 'SHA-256');
  });
});

describe('SMP servers: hosts', () => {
  for (const hosts of [['127.0.0.1'], ['aaaa.onion', '127.0.0.1'], ['[::1]'], ['::1', 'aaaa.onion']]) {
    const host = hosts.some((h) => h.includes('::1')) ? '::1' : '127.0.0.1';
    test(hosts.join(','), async (t) => {
      let server: FakeSmp;
      try {
        server = await startServer({}, { host });
      } catch {
        t.skip('no IPv6 here');
        return;
      }
      await serves(server, hosts, ['127.0.0.0/8', '::1/128']);
    });
  }
});
