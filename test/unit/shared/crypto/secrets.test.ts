/** What the crypto module leaves behind in memory: nothing that it was given or made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sodium from 'libsodium-wrappers-sumo';
import { RandomPool } from '../../../../shared/crypto/random-pool.js';
import { counting, wasm } from '../../../support/crypto.js';

test('the WebAssembly heap holds no key and no message after a call', () => {
  const { libsodium } = sodium as unknown as { readonly libsodium: { readonly HEAPU8: Uint8Array } };
  const [key, nonce, message] = [wasm.randomBytes(32), wasm.randomBytes(24), wasm.randomBytes(3000)];
  const pair = wasm.ed25519KeyPair(key);
  const box = wasm.secretboxSeal(key, nonce, message);
  const secrets = {
    key,
    message,
    opened: wasm.secretboxOpen(key, nonce, box)!,
    hash: wasm.sha512(key),
    derived: wasm.hsalsa20(key, nonce.subarray(0, 16)),
    shared: wasm.x25519(key, wasm.x25519PublicKey(counting(1, 32))),
  };
  wasm.ed25519Sign(pair.privateKey, message);
  wasm.boxSeal(key, wasm.x25519PublicKey(counting(1, 32)), nonce, message);
  wasm.salsa20Poly1305Seal(secrets.derived, nonce.subarray(16), message);
  wasm.chacha20Poly1305Open(key, nonce.subarray(12), nonce, box);
  wasm.xchacha20Poly1305Seal(key, nonce, nonce, message);
  wasm.secretboxSeal(key, nonce, new Uint8Array(200_000)); // the arena moves

  const heap = Buffer.from(libsodium.HEAPU8.buffer);
  for (const [name, secret] of Object.entries(secrets)) {
    for (let i = 0; i < 32; i += 8) {
      assert.equal(heap.indexOf(secret.subarray(i, i + 8)), -1, `${name}, from byte ${i}`);
    }
  }
});

test('the pool of random bytes forgets what it handed out', () => {
  const pool = new RandomPool();
  const { pool: memory } = pool as unknown as { readonly pool: Uint8Array };
  const taken = [pool.take(24), pool.take(32)];
  assert.deepEqual(memory.subarray(0, 56), new Uint8Array(56));
  assert.ok(memory.subarray(56).some((byte) => byte !== 0));
  for (const bytes of taken) assert.equal(Buffer.from(memory).indexOf(bytes), -1);
});
