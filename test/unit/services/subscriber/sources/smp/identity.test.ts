import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { readCertificate } from '../../../../../../services/subscriber/sources/smp/certificate.js';
import { checkIdentity, IdentityError } from '../../../../../../services/subscriber/sources/smp/identity.js';
import type { Crypto } from '../../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../../shared/crypto/load.js';
import { createIdentity } from '../../../../../../shared/crypto/x509.js';
import { decodePublicKey, ofAlgorithm } from '../../../../../../shared/encoding/keys.js';
import { DecodeError } from '../../../../../../shared/encoding/reader.js';
import {
  CA,
  certificate,
  extension,
  type Issued,
  LEAF,
  pathLength,
  usage,
} from '../../../../../support/certificates.js';
import { RECORDINGS, recording, unbase64 } from '../../../../../support/smp-vectors.js';

const NOW = Date.parse('2026-06-01');

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

/** Checks a chain against the fingerprint of its second certificate, or of `pinned`. */
function check(chain: readonly Issued[], now = NOW, pinned = chain[1]): unknown {
  const keyHash = crypto.sha256(pinned?.der ?? new Uint8Array(1));
  return checkIdentity(
    crypto,
    chain.map((c) => c.der),
    keyHash,
    now,
  );
}

const refused = (code: string, chain: readonly Issued[], now?: number, pinned?: Issued): void => {
  assert.throws(
    () => check(chain, now, pinned),
    (e) => e instanceof IdentityError && e.code === code,
    code,
  );
};

const ca = certificate({ name: 'ca' });
const leaf = certificate({ name: 'leaf', issuer: ca, extensions: LEAF });

describe('identity of a server', () => {
  test('accepts what the reference servers make, for both curves, valid until 4764', () => {
    for (const algorithm of ['ed25519', 'ed448'] as const) {
      const made = createIdentity({ algorithm, commonName: 'host', now: new Date(NOW - 1000) });
      const key = checkIdentity(crypto, [made.leafCert, made.caCert], made.fingerprint, NOW);
      assert.equal(key.algorithm, algorithm);
      const year = new Date(readCertificate(made.caCert).notAfter).getUTCFullYear();
      assert.ok(year > 4700, String(year));
    }
  });

  test('accepts the chains that real servers sent', () => {
    let chains = 0;
    for (const { given, handshake } of RECORDINGS.map(recording)) {
      const chain = handshake.certificateChain?.map(unbase64);
      if (chain === undefined) continue;
      const prove = (at: string) => checkIdentity(crypto, chain, unbase64(given.keyHash), Date.parse(at));
      const leaf = ofAlgorithm(decodePublicKey(unbase64(given.tlsLeafPublicKey)), 'ed25519');
      for (const at of ['2027-01-01', '2100-01-01', '4764-10-01']) assert.deepEqual(prove(at), leaf);
      assert.throws(() => prove('4764-11-01'), IdentityError);
      chains++;
    }
    assert.ok(chains >= 10);
  });

  test('reads times before and after 2050', () => {
    const dates = { notBefore: new Date('1999-12-31T23:59:58Z'), notAfter: new Date('2050-01-02T03:04:05Z') };
    const read = readCertificate(certificate({ name: 'x', ...dates }).der);
    assert.equal(read.notBefore, dates.notBefore.getTime());
    assert.equal(read.notAfter, dates.notAfter.getTime());
  });

  test('a pinned identity signed by a root, and one with an issuer between', () => {
    const root = certificate({ name: 'root' });
    const identity = certificate({ name: 'identity', issuer: root });
    const under = certificate({ name: 'leaf', issuer: identity, extensions: LEAF });
    check([under, identity, root]);
    const between = certificate({ name: 'between', issuer: root });
    const deep = certificate({ name: 'identity', issuer: between });
    check([certificate({ name: 'leaf', issuer: deep, extensions: LEAF }), deep, between, root]);
  });

  test('refuses chains of the wrong length', () => {
    refused('chain', []);
    refused('chain', [ca], NOW, ca);
    refused('chain', [leaf, ca, ca, ca, ca]);
  });

  test('refuses another fingerprint', () => refused('fingerprint', [leaf, ca], NOW, leaf));

  test("a real server's public certificate in a stranger's chain proves nothing", () => {
    const evilRoot = certificate({ name: 'evil' });
    const evilLeaf = certificate({ name: 'leaf', issuer: evilRoot, extensions: LEAF });
    refused('chain', [evilLeaf, ca, evilRoot]);
    refused('signature', [
      certificate({ name: 'leaf', issuer: evilRoot, issuerName: 'ca', extensions: LEAF }),
      ca,
    ]);
    refused('chain', [certificate({ name: 'leaf', extensions: LEAF }), ca]);
  });

  test('refuses what is out of date; the dates of the anchor itself do not count', () => {
    const dated = (notBefore: string, notAfter: string) =>
      certificate({
        name: 'leaf',
        issuer: ca,
        extensions: LEAF,
        notBefore: new Date(notBefore),
        notAfter: new Date(notAfter),
      });
    refused('dates', [dated('2020-01-01', '2026-05-31'), ca]);
    refused('dates', [dated('2026-06-02', '2027-01-01'), ca]);
    const old = certificate({ name: 'old', notAfter: new Date('2021-01-01') });
    check([certificate({ name: 'leaf', issuer: old, extensions: LEAF }), old]);
  });

  test('refuses critical extensions that it does not know, and takes others', () => {
    const unknown = (critical: boolean) =>
      certificate({
        name: 'leaf',
        issuer: ca,
        extensions: [...LEAF, extension('1.2.3.4', new Uint8Array(2), critical)],
      });
    refused('extensions', [unknown(true), ca]);
    check([unknown(false), ca]);
  });

  test('a leaf with a key usage must be allowed to sign; an issuer to issue', () => {
    refused('key', [certificate({ name: 'leaf', issuer: ca, extensions: [usage(0x08)] }), ca]);
    check([certificate({ name: 'leaf', issuer: ca, extensions: [usage(0x80)] }), ca]);
    check([certificate({ name: 'leaf', issuer: ca, extensions: [...LEAF.slice(0, 1)] }), ca]);
    const root = certificate({ name: 'root' });
    const chain = (extensions: readonly Uint8Array[]): Issued[] => {
      const identity = certificate({ name: 'identity', issuer: root, extensions });
      return [certificate({ name: 'leaf', issuer: identity, extensions: LEAF }), identity, root];
    };
    check(chain([...CA, usage(0x04)]));
    refused('key', chain([...CA, usage(0x80)]));
    refused('chain', chain(LEAF));
  });

  test('enforces path lengths', () => {
    const root = certificate({ name: 'root' });
    const build = (limit: number): Issued[] => {
      const between = certificate({ name: 'between', issuer: root, extensions: [pathLength(limit)] });
      const identity = certificate({ name: 'identity', issuer: between });
      return [certificate({ name: 'leaf', issuer: identity, extensions: LEAF }), identity, between, root];
    };
    check(build(1));
    refused('chain', build(0));
  });

  test('garbage is refused, and a certificate survives no cut', () => {
    const keyHash = crypto.sha256(ca.der);
    assert.throws(() => checkIdentity(crypto, [new Uint8Array(5), ca.der], keyHash, NOW), IdentityError);
    for (let length = 0; length < leaf.der.length; length += 7) {
      assert.throws(() => readCertificate(leaf.der.subarray(0, length)), DecodeError);
    }
  });

  test('errors carry nothing of the certificates', () => {
    try {
      check([leaf, ca], NOW, leaf);
      assert.fail();
    } catch (error) {
      assert.equal((error as Error).message, 'identity: fingerprint');
    }
  });
});
