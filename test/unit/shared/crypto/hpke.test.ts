import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hpkeOpen, hpkeSeal, hpkeSealWith, keySchedule } from '../../../../shared/crypto/hpke.js';
import { utf8 } from '../../../../shared/encoding/bytes.js';
import { backends, hex } from '../../../support/crypto.js';

/** RFC 9180 A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode. */
const RFC = {
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  ephemeral: {
    publicKey: hex('1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a'),
    privateKey: hex('f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600'),
  },
  recipient: {
    publicKey: hex('4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a'),
    privateKey: hex('8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb'),
  },
  sharedSecret: hex('0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7'),
  key: hex('ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91'),
  nonce: hex('5c4d98150661b848853b547f'),
  aad: hex('436f756e742d30'),
  plaintext: hex('4265617574792069732074727574682c20747275746820626561757479'),
  ciphertext: hex(
    '1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28',
  ),
};

for (const crypto of backends) {
  describe(`HPKE, ${crypto.backend} back end`, () => {
    test('RFC 9180 A.2.1: keys', () => {
      for (const { publicKey, privateKey } of [RFC.ephemeral, RFC.recipient]) {
        assert.deepEqual(crypto.x25519PublicKey(privateKey), publicKey);
      }
    });

    test('RFC 9180 A.2.1: key schedule', () => {
      assert.deepEqual(keySchedule(crypto, RFC.sharedSecret, RFC.info), { key: RFC.key, nonce: RFC.nonce });
    });

    test('RFC 9180 A.2.1: the first message, sealed and opened', () => {
      const { ephemeral, recipient, info, aad, plaintext, ciphertext } = RFC;
      const sealed = hpkeSealWith(crypto, ephemeral, recipient.publicKey, info, aad, plaintext);
      assert.deepEqual(sealed, { enc: ephemeral.publicKey, ciphertext });
      const opened = hpkeOpen(crypto, recipient.privateKey, ephemeral.publicKey, info, aad, ciphertext);
      assert.deepEqual(opened, plaintext);
    });

    test('opens only with the same key, info and aad, unchanged', () => {
      const { publicKey, privateKey } = crypto.x25519KeyPair();
      const [info, aad, secret] = [utf8('info'), utf8('aad'), utf8('secret')];
      const { enc, ciphertext } = hpkeSeal(crypto, publicKey, info, aad, secret);
      assert.deepEqual(hpkeOpen(crypto, privateKey, enc, info, aad, ciphertext), secret);
      const other = crypto.x25519KeyPair();
      assert.equal(hpkeOpen(crypto, other.privateKey, enc, info, aad, ciphertext), undefined);
      assert.equal(hpkeOpen(crypto, privateKey, other.publicKey, info, aad, ciphertext), undefined);
      assert.equal(hpkeOpen(crypto, privateKey, enc, aad, aad, ciphertext), undefined);
      assert.equal(hpkeOpen(crypto, privateKey, enc, info, info, ciphertext), undefined);
      assert.equal(hpkeOpen(crypto, privateKey, enc, info, aad, ciphertext.subarray(1)), undefined);
      assert.equal(hpkeOpen(crypto, privateKey, enc, info, aad, new Uint8Array(0)), undefined);
    });

    test('a sender key of small order or of another length opens nothing', () => {
      const { privateKey } = crypto.x25519KeyPair();
      for (const enc of [new Uint8Array(32), new Uint8Array(31), new Uint8Array(0)]) {
        assert.equal(hpkeOpen(crypto, privateKey, enc, RFC.info, RFC.aad, RFC.ciphertext), undefined);
      }
    });

    test('every seal is a fresh one', () => {
      const { publicKey } = crypto.x25519KeyPair();
      const seal = () => hpkeSeal(crypto, publicKey, RFC.info, RFC.aad, RFC.plaintext);
      assert.notDeepEqual(seal().enc, seal().enc);
    });
  });
}
