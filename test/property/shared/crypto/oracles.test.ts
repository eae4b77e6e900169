/** The crypto back ends against implementations that share no code with them: tweetnacl and @hpke/core. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { boxKey, cbDecryptNoPad, cbEncryptNoPad, pad, unpad } from '../../../../shared/crypto/box.js';
import { hpkeOpen, hpkeSeal } from '../../../../shared/crypto/hpke.js';
import { backends, native, wasm } from '../../../support/crypto.js';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const text = fc.uint8Array({ maxLength: 500 });
const RUNS = { numRuns: 40 };

for (const crypto of backends) {
  describe(`${crypto.backend} back end against tweetnacl`, () => {
    test('X25519 and box', () => {
      fc.assert(
        fc.property(bytes(32), bytes(32), bytes(24), text, (a, b, nonce, message) => {
          const publicKey = crypto.x25519PublicKey(b);
          assert.deepEqual(publicKey, nacl.scalarMult.base(b));
          const secret = crypto.x25519(a, publicKey);
          assert.deepEqual(boxKey(crypto, secret), nacl.box.before(publicKey, a));
          const box = cbEncryptNoPad(crypto, secret, nonce, message);
          assert.deepEqual(box, nacl.box(message, nonce, publicKey, a));
          assert.deepEqual(cbDecryptNoPad(crypto, secret, nonce, box), message);
        }),
        { numRuns: 10 }, // three slow scalar multiplications each
      );
    });

    test('secretbox, in one step and as Salsa20-Poly1305 under HSalsa20 (relay.md §5)', () => {
      fc.assert(
        fc.property(bytes(32), bytes(24), text, (key, nonce, message) => {
          const expected = nacl.secretbox(message, nonce, key);
          assert.deepEqual(crypto.secretboxSeal(key, nonce, message), expected);
          assert.deepEqual(crypto.secretboxOpen(key, nonce, expected), message);
          const m = crypto.hsalsa20(key, nonce.subarray(0, 16));
          assert.deepEqual(crypto.salsa20Poly1305Seal(m, nonce.subarray(16), message), expected);
        }),
        RUNS,
      );
    });

    test('secretbox of whole blocks', () => {
      for (const length of [2912, 16_368, 70_000]) {
        const [key, nonce, message] = [
          crypto.randomBytes(32),
          crypto.randomBytes(24),
          crypto.randomBytes(length),
        ];
        const box = crypto.secretboxSeal(key, nonce, message);
        assert.deepEqual(nacl.secretbox.open(box, nonce, key), message);
        assert.deepEqual(crypto.secretboxOpen(key, nonce, box), message);
      }
    });

    test('Ed25519', () => {
      fc.assert(
        fc.property(bytes(32), text, (seed, message) => {
          const pair = crypto.ed25519KeyPair(seed);
          const expected = nacl.sign.keyPair.fromSeed(seed);
          assert.deepEqual(pair, { publicKey: expected.publicKey, privateKey: expected.secretKey });
          const signature = crypto.ed25519Sign(pair.privateKey, message);
          assert.deepEqual(signature, nacl.sign.detached(message, expected.secretKey));
          assert.equal(crypto.ed25519Verify(pair.publicKey, message, signature), true);
        }),
        { numRuns: 10 },
      );
    });

    test('any bytes as a box open as nothing', () => {
      fc.assert(
        fc.property(bytes(32), bytes(24), text, (key, nonce, box) => {
          assert.equal(crypto.secretboxOpen(key, nonce, box), undefined);
          assert.equal(crypto.xchacha20Poly1305Open(key, nonce, key, box), undefined);
          assert.equal(crypto.ed25519Verify(key, box, box.slice(0, 64)), false);
          assert.equal(hpkeOpen(crypto, key, key, nonce, nonce, box), undefined);
        }),
        RUNS,
      );
    });
  });

  test(`${crypto.backend} back end: HPKE both ways with @hpke/core`, async () => {
    const suite = new CipherSuite({
      kem: new DhkemX25519HkdfSha256(),
      kdf: new HkdfSha256(),
      aead: new Chacha20Poly1305(),
    });
    for (const length of [0, 1, 176, 3000]) {
      const { publicKey, privateKey } = crypto.x25519KeyPair();
      const [info, aad, plaintext] = [
        crypto.randomBytes(20),
        crypto.randomBytes(5),
        crypto.randomBytes(length),
      ];
      const theirPublic = await suite.kem.deserializePublicKey(exactly(publicKey));
      const theirPrivate = await suite.kem.deserializePrivateKey(exactly(privateKey));

      const ours = hpkeSeal(crypto, publicKey, info, aad, plaintext);
      const recipient = { recipientKey: theirPrivate, enc: exactly(ours.enc), info: exactly(info) };
      const opened = await suite.open(recipient, exactly(ours.ciphertext), exactly(aad));
      assert.deepEqual(new Uint8Array(opened), plaintext);

      const sender = { recipientPublicKey: theirPublic, info: exactly(info) };
      const theirs = await suite.seal(sender, exactly(plaintext), exactly(aad));
      const [enc, ciphertext] = [new Uint8Array(theirs.enc), new Uint8Array(theirs.ct)];
      assert.deepEqual(hpkeOpen(crypto, privateKey, enc, info, aad, ciphertext), plaintext);
    }
  });
}

test('the back ends make the same AEAD boxes', () => {
  fc.assert(
    fc.property(bytes(32), bytes(24), text, text, (key, nonce, aad, message) => {
      const short = nonce.subarray(0, 12);
      const box = native.chacha20Poly1305Seal(key, short, aad, message);
      assert.deepEqual(wasm.chacha20Poly1305Seal(key, short, aad, message), box);
      assert.deepEqual(wasm.chacha20Poly1305Open(key, short, aad, box), message);
      const longBox = native.xchacha20Poly1305Seal(key, nonce, aad, message);
      assert.deepEqual(wasm.xchacha20Poly1305Seal(key, nonce, aad, message), longBox);
      assert.deepEqual(wasm.xchacha20Poly1305Open(key, nonce, aad, longBox), message);
    }),
    RUNS,
  );
});

test('padding comes off again', () => {
  fc.assert(
    fc.property(text, fc.nat(300), (message, extra) => {
      assert.deepEqual(unpad(pad(message, message.length + 2 + extra)), message);
    }),
  );
  fc.assert(fc.property(text, (any) => (unpad(any)?.length ?? 0) <= any.length));
});

/** The array's memory, which must hold nothing else. */
function exactly(array: Uint8Array): ArrayBuffer {
  return array.slice().buffer as ArrayBuffer;
}
