import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { CryptoError } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { naclCrypto, type SdkCrypto } from '../../../../shared/sdk/nacl.js';

const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const RUNS = { numRuns: 15 };

describe('the SDK’s cryptography against the services’', () => {
  let native: SdkCrypto;
  before(async () => {
    native = await loadCrypto();
  });

  test('key agreement, signatures, boxes and hashes agree', () => {
    fc.assert(
      fc.property(
        bytes(32),
        bytes(32),
        bytes(24),
        fc.uint8Array({ maxLength: 600 }),
        (a, b, nonce, message) => {
          const publicKey = native.x25519PublicKey(b);
          assert.deepEqual(naclCrypto.x25519PublicKey(b), publicKey);
          assert.deepEqual(naclCrypto.x25519(a, publicKey), native.x25519(a, publicKey));
          assert.deepEqual(
            naclCrypto.hsalsa20(a, nonce.slice(0, 16)),
            native.hsalsa20(a, nonce.slice(0, 16)),
          );
          const box = naclCrypto.secretboxSeal(a, nonce, message);
          assert.deepEqual(native.secretboxOpen(a, nonce, box), message);
          assert.equal(naclCrypto.secretboxOpen(b, nonce, box), native.secretboxOpen(b, nonce, box));
          assert.deepEqual(naclCrypto.sha512(a, message), native.sha512(a, message));
          for (const length of [32, 64, 100]) {
            const derived = naclCrypto.hkdfSha512(b, message, nonce, length);
            assert.deepEqual(derived, native.hkdfSha512(b, message, nonce, length));
          }
          const keys = naclCrypto.ed25519KeyPair(a);
          assert.deepEqual(keys, native.ed25519KeyPair(a));
          const signature = naclCrypto.ed25519Sign(keys.privateKey, message);
          assert.deepEqual(signature, native.ed25519Sign(keys.privateKey, message));
          assert.equal(naclCrypto.ed25519Verify(keys.publicKey, message, signature), true);
          assert.equal(naclCrypto.ed25519Verify(keys.publicKey, a, signature), false);
        },
      ),
      RUNS,
    );
  });

  test('an all-zero secret is refused; a signature of another length is none', () => {
    assert.throws(() => naclCrypto.x25519(new Uint8Array(32).fill(1), new Uint8Array(32)), CryptoError);
    assert.equal(naclCrypto.ed25519Verify(new Uint8Array(32), new Uint8Array(1), new Uint8Array(3)), false);
  });

  test('comparison', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 3 }), (a, b) => {
        assert.equal(naclCrypto.equal(a, b), Buffer.from(a).equals(Buffer.from(b)));
        assert.equal(naclCrypto.equal(a, a.slice()), true);
      }),
    );
  });
});
