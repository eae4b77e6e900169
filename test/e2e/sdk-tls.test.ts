/** The SDK's TLS transport on loopback: real handshakes, real certificates, the session id of both sides. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createServer, type Server } from 'node:tls';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { createIdentity, type Identity, toPem } from '../../shared/crypto/x509.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import { decodePrivateKey, ofAlgorithm } from '../../shared/encoding/keys.js';
import { systemClock } from '../../shared/run/clock.js';
import { PorchlightPhone } from '../../shared/sdk/client.js';
import { provesIdentity, tlsConnect } from '../../shared/sdk/node/tls-transport.js';
import { FakeNtfServer } from '../support/fake-ntf-server.js';

const NOW = new Date();
let crypto: Crypto;
const servers: Server[] = [];
before(async () => {
  crypto = await loadCrypto();
});
after(() => {
  for (const server of servers) server.close();
});

/** A notification server over TLS; `chain` is what it shows. */
async function serve(identity: Identity, chain: readonly Uint8Array[]) {
  const ntf = new FakeNtfServer(crypto);
  const signingKey = ofAlgorithm(decodePrivateKey(identity.leafKey), 'ed25519', 'ed448');
  const server = createServer(
    {
      cert: chain.map((certificate) => toPem('CERTIFICATE', certificate)).join(''),
      key: toPem('PRIVATE KEY', identity.leafKey),
      ALPNProtocols: ['ntf/1', 'http/1.1', 'h2'],
      ecdhCurve: 'X448:X25519',
    },
    (socket) => {
      socket.on('error', () => {});
      const sessionId = Uint8Array.from(socket.getPeerFinished()!);
      const feed = ntf.serve(
        sessionId,
        (b) => socket.write(b),
        () => socket.destroy(),
        signingKey,
      );
      socket.on('data', feed);
    },
  );
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { ntf, port };
}

function phoneFor(ntf: FakeNtfServer, port: number, keyHash: Uint8Array): PorchlightPhone {
  return new PorchlightPhone({
    keyHash: ntf.keyHash,
    connect: tlsConnect({ host: '127.0.0.1', port, keyHash, clock: systemClock }),
    renewNotifier: () => Promise.reject(new Error('not needed')),
    clock: systemClock,
  });
}

const token = { provider: 'AT', text: utf8('a1b2') } as const;

describe('TLS transport', () => {
  for (const algorithm of ['ed25519', 'ed448'] as const) {
    test(`registers over an ${algorithm} identity`, async () => {
      const identity = createIdentity({ algorithm, commonName: 'localhost', now: NOW });
      const { ntf, port } = await serve(identity, [identity.leafCert, identity.caCert]);
      const phone = phoneFor(ntf, port, identity.fingerprint);
      await phone.register(token);
      assert.deepEqual(await phone.onPush(ntf.verificationPush()), { kind: 'verification', verified: true });
      phone.close();
    });
  }

  test('refuses another identity, a chain without one, and a leaf that it did not sign', async () => {
    const identity = createIdentity({ algorithm: 'ed25519', commonName: 'localhost', now: NOW });
    const other = createIdentity({ algorithm: 'ed25519', commonName: 'localhost', now: NOW });
    const cases: [readonly Uint8Array[], Uint8Array][] = [
      [[identity.leafCert, identity.caCert], other.fingerprint],
      [[identity.leafCert], identity.fingerprint],
      [[identity.leafCert, other.caCert], other.fingerprint],
    ];
    for (const [chain, keyHash] of cases) {
      const { ntf, port } = await serve(identity, chain);
      const phone = phoneFor(ntf, port, keyHash);
      await assert.rejects(phone.register(token), { name: 'NtfConnectionError', reason: 'identity' });
      assert.deepEqual(ntf.words, []);
    }
  });

  test('an authority’s public certificate does not help those whom it did not sign', () => {
    const [real, other] = [0, 1].map(() =>
      createIdentity({ algorithm: 'ed25519', commonName: 'x', now: NOW }),
    );
    const chain = (...ders: Uint8Array[]) => ders.map((der) => new X509Certificate(der));
    const { leafCert, caCert, fingerprint } = real!;
    assert.equal(provesIdentity(chain(leafCert, caCert), fingerprint, NOW.getTime()), true);
    assert.equal(provesIdentity(chain(other!.leafCert, caCert), fingerprint, NOW.getTime()), false);
    assert.equal(
      provesIdentity(chain(other!.leafCert, caCert, other!.caCert), fingerprint, NOW.getTime()),
      false,
    );
  });

  test('refuses a leaf that has run out', async () => {
    const past = new Date(NOW.getTime() - 10 * 86_400_000);
    const identity = createIdentity({ algorithm: 'ed25519', commonName: 'localhost', now: past, days: 5 });
    const { ntf, port } = await serve(identity, [identity.leafCert, identity.caCert]);
    await assert.rejects(phoneFor(ntf, port, identity.fingerprint).register(token), { reason: 'identity' });
  });

  test('nobody there is unreachable', async () => {
    const identity = createIdentity({ algorithm: 'ed25519', commonName: 'localhost', now: NOW });
    const ntf = new FakeNtfServer(crypto);
    await assert.rejects(phoneFor(ntf, 1, identity.fingerprint).register(token), { reason: 'unreachable' });
  });
});
