import assert from 'node:assert/strict';
import { createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { connect, createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import {
  authorityKeyId,
  certificateAuthority,
  encodeCertificate,
  subjectKeyId,
} from '../../../../shared/crypto/certificate.js';
import { ipAddressBytes } from '../../../../shared/crypto/ip-address.js';
import {
  createIdentity,
  createServerCertificate,
  createServiceCertificate,
  pemBlocks,
  toPem,
} from '../../../../shared/crypto/x509.js';
import { oid, sequence } from '../../../../shared/encoding/der.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { hex, native } from '../../../support/crypto.js';
import { vector } from '../../../support/paths.js';

const now = new Date('2026-11-21T03:42:36Z');
const HOST = '127.0.0.1';

interface Recorded {
  readonly smpHello: { readonly tlsLeafDer: string; readonly identityDer: string };
  readonly ntf: { readonly v3: { readonly tlsLeafDer: string } };
  readonly service: { readonly certDer: string; readonly certKey: string };
}
const recorded = vector<Recorded>('more/smp-ntf-recorded');

describe('server identities', () => {
  for (const algorithm of ['ed25519', 'ed448'] as const) {
    test(`${algorithm}: an authority and a leaf under it`, () => {
      const identity = createIdentity({ algorithm, commonName: HOST, now });
      const [ca, leaf] = [new X509Certificate(identity.caCert), new X509Certificate(identity.leafCert)];
      assert.equal(ca.ca, true);
      assert.equal(leaf.ca, false);
      assert.equal(ca.verify(ca.publicKey), true);
      assert.equal(leaf.verify(ca.publicKey), true);
      assert.equal(leaf.checkIssued(ca), true);
      assert.equal(leaf.issuer, ca.subject);
      assert.equal(leaf.subject, `CN=${HOST}`);
      assert.equal(leaf.publicKey.asymmetricKeyType, algorithm);
      assert.equal(leaf.checkPrivateKey(pkcs8(identity.leafKey)), true);
      assert.equal(ca.checkPrivateKey(pkcs8(identity.caKey)), true);
      assert.equal(leaf.validTo, 'Oct 17 03:42:36 4764 GMT');
      assert.deepEqual(identity.fingerprint, native.sha256(identity.caCert));
    });

    test(`${algorithm}: a real TLS 1.3 handshake as the messaging protocols make it (guide B.1)`, async () => {
      const identity = createIdentity({ algorithm, commonName: HOST, now: new Date() });
      const ca = toPem('CERTIFICATE', identity.caCert);
      const seen = await handshake(
        {
          cert: toPem('CERTIFICATE', identity.leafCert) + ca,
          key: toPem('PRIVATE KEY', identity.leafKey),
          minVersion: 'TLSv1.3',
          ciphers: 'TLS_CHACHA20_POLY1305_SHA256',
          ecdhCurve: 'X448:X25519',
        },
        { ca, sigalgs: 'ed448:ed25519', checkServerIdentity: () => undefined },
      );
      assert.equal(seen.authorized, true);
      assert.equal(seen.protocol, 'TLSv1.3');
      assert.deepEqual(seen.chain, [identity.leafCert, identity.caCert].map(sha256Hex));
    });
  }

  test('the same form, to the byte count, as certificates of the reference servers', () => {
    const ed25519 = createIdentity({ algorithm: 'ed25519', commonName: HOST, now });
    const ed448 = createIdentity({ algorithm: 'ed448', commonName: HOST, now });
    assert.equal(ed25519.caCert.length, recorded.smpHello.identityDer.length / 2);
    assert.equal(ed25519.leafCert.length, recorded.smpHello.tlsLeafDer.length / 2);
    assert.equal(ed448.leafCert.length, recorded.ntf.v3.tlsLeafDer.length / 2);
    const theirs = new X509Certificate(hex(recorded.smpHello.tlsLeafDer));
    const ours = new X509Certificate(ed25519.leafCert);
    assert.equal(ours.issuer, theirs.issuer);
    assert.deepEqual(ours.keyUsage, theirs.keyUsage);
    assert.equal(usage(ed25519.leafCert), usage(hex(recorded.smpHello.tlsLeafDer)));
  });

  test('hosts are named for clients that check them', () => {
    const hosts = ['push.example', '10.1.2.3', '2001:db8::1'];
    const { leafCert } = createIdentity({ algorithm: 'ed25519', commonName: 'push.example', hosts, now });
    const leaf = new X509Certificate(leafCert);
    assert.equal(leaf.checkHost('push.example'), 'push.example');
    assert.equal(leaf.checkHost('other.example'), undefined);
    assert.equal(leaf.checkIP('10.1.2.3'), '10.1.2.3');
    assert.equal(leaf.checkIP('2001:db8::1'), '2001:db8::1');
  });
});

describe('the certificate writer', () => {
  test('writes a recorded certificate again, byte for byte', () => {
    const { certDer, certKey } = recorded.service;
    const theirs = new X509Certificate(hex(certDer));
    const key = pkcs8(hex(certKey));
    const keyId = hex('8526555489db2138648dd0837dcd0ca74590e8de');
    const name = { commonName: 'simplex' };
    const fields = {
      serial: hex(theirs.serialNumber),
      signatureAlgorithm: sequence(oid('1.3.101.112')),
      issuer: name,
      subject: name,
      notBefore: new Date(theirs.validFrom),
      notAfter: new Date(theirs.validTo),
      publicKey: theirs.publicKey.export({ format: 'der', type: 'spki' }),
      extensions: [subjectKeyId(keyId), authorityKeyId(keyId), certificateAuthority()],
    };
    assert.deepEqual(
      encodeCertificate(fields, (tbs) => sign(null, tbs, key)),
      hex(certDer),
    );
  });
});

describe('single certificates', () => {
  test('HTTPS: accepted by a client that trusts it, for its names only', async () => {
    const { certificate, privateKey } = createServerCertificate({
      host: 'localhost',
      otherHosts: [HOST, '::1'],
      now: new Date(),
    });
    const parsed = new X509Certificate(certificate);
    assert.equal(parsed.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    assert.equal(parsed.subjectAltName, 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
    const cert = toPem('CERTIFICATE', certificate);
    const server = { cert, key: toPem('PRIVATE KEY', privateKey) };
    assert.equal((await handshake(server, { ca: cert })).authorized, true);
    assert.equal((await handshake(server, { ca: cert, servername: 'localhost' })).authorized, true);
    assert.equal((await handshake(server, { ca: cert, servername: 'other.example' })).authorized, false);
    assert.equal((await handshake(server, {})).authorized, false);
  });

  test('HTTPS: a host too long for a common name is still among the names', () => {
    const host = `${'a'.repeat(60)}.${'b'.repeat(60)}.example`;
    const certificate = new X509Certificate(createServerCertificate({ host, now }).certificate);
    assert.equal(certificate.checkHost(host), host);
    assert.equal(certificate.subject.length, 'CN='.length + 64);
  });

  test('service mode: self-signed Ed25519, version 3, shown by a TLS client (guide K.1 #16)', async () => {
    const service = createServiceCertificate({ commonName: 'porchlight', now: new Date() });
    const parsed = new X509Certificate(service.certificate);
    assert.equal(parsed.verify(parsed.publicKey), true);
    assert.equal(parsed.publicKey.asymmetricKeyType, 'ed25519');
    const identity = createIdentity({ algorithm: 'ed25519', commonName: HOST, now: new Date() });
    const { clientCertificate } = await handshake(
      {
        cert: toPem('CERTIFICATE', identity.leafCert),
        key: toPem('PRIVATE KEY', identity.leafKey),
        requestCert: true,
        rejectUnauthorized: false,
      },
      { cert: toPem('CERTIFICATE', service.certificate), key: toPem('PRIVATE KEY', service.privateKey) },
    );
    assert.equal(clientCertificate, sha256Hex(service.certificate));
  });
});

describe('PEM', () => {
  test('blocks in order, whatever stands between them', () => {
    const { caCert, leafCert, leafKey } = createIdentity({ algorithm: 'ed448', commonName: HOST, now });
    const text = `${toPem('CERTIFICATE', leafCert)}a comment\n${toPem('CERTIFICATE', caCert)}`;
    assert.deepEqual(pemBlocks(text.replaceAll('\n', '\r\n')), [
      { label: 'CERTIFICATE', der: leafCert },
      { label: 'CERTIFICATE', der: caCert },
    ]);
    assert.deepEqual(pemBlocks(toPem('PRIVATE KEY', leafKey)), [{ label: 'PRIVATE KEY', der: leafKey }]);
    assert.equal(toPem('PRIVATE KEY', leafKey), pkcs8(leafKey).export({ format: 'pem', type: 'pkcs8' }));
  });

  test('a text without a block is refused', () => {
    for (const text of ['', 'x', '-----BEGIN A-----\nAA==\n-----END B-----']) {
      assert.throws(() => pemBlocks(text), DecodeError);
    }
  });
});

test('IP addresses as bytes', () => {
  for (const [address, bytes] of [
    ['192.0.2.1', 'c0000201'],
    ['::', '00'.repeat(16)],
    ['::1', `${'00'.repeat(15)}01`],
    ['2001:db8::a:b', '20010db8000000000000 0000000a000b'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['fe80::', 'fe80000000000000 0000000000000000'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
  ] as const) {
    assert.deepEqual(ipAddressBytes(address), hex(bytes), address);
  }
});

const pkcs8 = (der: Uint8Array) => createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });

const sha256Hex = (der: Uint8Array): string => new X509Certificate(der).fingerprint256;

/** What a leaf may do: its extensions' bytes up to the key identifiers, in hex. */
const usage = (der: Uint8Array): string =>
  /0603551d13.*?0603551d0e/.exec(Buffer.from(der).toString('hex'))?.[0] ?? assert.fail('no extensions');

interface Seen {
  readonly authorized: boolean;
  readonly protocol: string | null;
  /** Fingerprints, leaf first. */
  readonly chain: readonly string[];
  readonly clientCertificate: string | undefined;
}

/** One handshake over loopback, and what both ends saw. */
async function handshake(server: TlsOptions, client: Record<string, unknown>): Promise<Seen> {
  const listener = createServer(server).listen(0, HOST);
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
  const socket = connect({ port, host: HOST, rejectUnauthorized: false, ...client });
  await once(socket, 'secureConnect');
  const [peer] = await accepted;
  const leaf = socket.getPeerCertificate(true);
  const issuer = leaf.issuerCertificate;
  const seen = {
    authorized: socket.authorized,
    protocol: socket.getProtocol(),
    chain: [leaf.fingerprint256, ...(issuer ? [issuer.fingerprint256] : [])],
    clientCertificate: peer.getPeerCertificate().fingerprint256,
  };
  socket.destroy();
  peer.destroy();
  listener.close();
  await once(listener, 'close');
  return seen;
}
