import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  generateSignatureKey,
  publicKeyOf,
  type SignatureKey,
  signWith,
  verifyWith,
} from '../../../../shared/crypto/signatures.js';
import { utf8 } from '../../../../shared/encoding/bytes.js';
import { decodePrivateKey, ofAlgorithm } from '../../../../shared/encoding/keys.js';
import { Reader } from '../../../../shared/encoding/reader.js';
import { backends, hex } from '../../../support/crypto.js';
import { vector } from '../../../support/paths.js';

/** RFC 8032 §7.4: private key, public key, message, signature. */
const ED448 = [
  [
    `6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3
     528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b`,
    `5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778
     edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180`,
    '',
    `533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f
     2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a
     9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db
     b61149f05a7363268c71d95808ff2e652600`,
  ],
  [
    `c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463a
     fbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e`,
    `43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c086
     6aea01eb00742802b8438ea4cb82169c235160627b4c3a9480`,
    '03',
    `26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f435
     2541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cb
     cee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f
     f3348ab21aa4adafd1d234441cf807c03a00`,
  ],
] as const;

interface RecordedNsub {
  readonly v: number;
  readonly kt: 'ed25519' | 'ed448' | 'x25519';
  readonly notifierKey: string;
  readonly sessionId: string;
  readonly log: readonly { readonly content: string }[];
}

for (const crypto of backends) {
  describe(`EdDSA over raw keys, ${crypto.backend} back end`, () => {
    test('Ed448: RFC 8032', () => {
      for (const [seed, publicKey, message, signature] of ED448) {
        const key: SignatureKey = { algorithm: 'ed448', raw: hex(seed) };
        assert.deepEqual(publicKeyOf(crypto, key), { algorithm: 'ed448', raw: hex(publicKey) });
        assert.deepEqual(signWith(crypto, key, hex(message)), hex(signature));
        assert.equal(verifyWith(crypto, publicKeyOf(crypto, key), hex(message), hex(signature)), true);
      }
    });

    test('fresh keys of both curves sign; nothing else verifies', () => {
      for (const algorithm of ['ed25519', 'ed448'] as const) {
        const key = generateSignatureKey(crypto, algorithm);
        const publicKey = publicKeyOf(crypto, key);
        const other = publicKeyOf(crypto, generateSignatureKey(crypto, algorithm));
        const message = utf8('message');
        const signature = signWith(crypto, key, message);
        assert.equal(signature.length, algorithm === 'ed25519' ? 64 : 114);
        assert.equal(verifyWith(crypto, publicKey, message, signature), true);
        assert.equal(verifyWith(crypto, publicKey, utf8('massage'), signature), false);
        assert.equal(verifyWith(crypto, other, message, signature), false);
        for (const wrong of [new Uint8Array(0), signature.subarray(1), new Uint8Array(signature.length)]) {
          assert.equal(verifyWith(crypto, publicKey, message, wrong), false);
        }
      }
    });

    test('a key that is no point verifies nothing', () => {
      for (const [algorithm, length] of [
        ['ed25519', 32],
        ['ed448', 57],
      ] as const) {
        const key = { algorithm, raw: new Uint8Array(length).fill(0xff) };
        assert.equal(verifyWith(crypto, key, utf8('x'), new Uint8Array(2 * length)), false);
      }
    });

    test('recorded NSUB signatures of versions 7 to 18 (guide F)', () => {
      const { nsub } = vector<{ nsub: readonly RecordedNsub[] }>('more/smp-ntf-recorded');
      const signed = nsub.filter(({ v, kt }) => v >= 7 && kt !== 'x25519');
      assert.equal(signed.length, 8);
      for (const { v, notifierKey, sessionId, log } of signed) {
        const transmission = new Reader(new Reader(hex(log[0]!.content).subarray(1)).large());
        const signature = transmission.shortString();
        if (v >= 16) transmission.expect('0'); // no service signature
        const authorized = Uint8Array.of(32, ...hex(sessionId), ...transmission.tail());
        const key = ofAlgorithm(decodePrivateKey(hex(notifierKey)), 'ed25519', 'ed448');
        assert.deepEqual(signWith(crypto, key, authorized), signature);
      }
    });
  });
}
