import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../../../shared/encoding/bytes.js';
import { appTag } from '../../../../shared/relay/identity.js';
import { openSealedRevocation } from '../../../../shared/relay/revocation.js';
import { VirtualClock } from '../../../../shared/run/clock.js';
import { createOwnerKey, revoke } from '../../../../shared/sdk/owner.js';
import { sealingCrypto } from '../../../../shared/sdk/sealing-crypto.js';
import { hex, native } from '../../../support/crypto.js';

const bytes = fc.uint8Array({ maxLength: 300 });
const sized = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe("the phone's cryptography for sealing", () => {
  test('is that of the services, for any input', () => {
    const property = fc.property(bytes, bytes, sized(32), sized(12), (a, b, key, nonce) => {
      assert.deepEqual(sealingCrypto.sha256(a, b), native.sha256(a, b));
      assert.deepEqual(sealingCrypto.hmacSha256(a, b, key), native.hmacSha256(a, b, key));
      const sealed = native.chacha20Poly1305Seal(key, nonce, a, b);
      assert.deepEqual(sealingCrypto.chacha20Poly1305Seal(key, nonce, a, b), sealed);
    });
    fc.assert(property, { numRuns: 200 });
  });

  test('SHA-256 at the lengths where a block ends (FIPS 180-4)', () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    assert.deepEqual(sealingCrypto.sha256(utf8('abc')), hex(abc));
    for (let length = 0; length <= 200; length++) {
      const message = new Uint8Array(length).fill(length);
      assert.deepEqual(sealingCrypto.sha256(message), native.sha256(message), `${length}`);
    }
  });
});

test("the owner's revocation opens at the gateway, signed by the owner", () => {
  const clock = new VirtualClock();
  const owner = createOwnerKey();
  const { publicKey, privateKey } = native.x25519KeyPair();
  const gateway = { keyId: new Uint8Array(4), publicKey };
  const token = native.randomBytes(32);
  const topic = 'chat.example.app';
  const sealed = revoke({ owner, gateway, topic, environment: 'production', token, clock });
  assert.equal(sealed.length, 293);
  assert.deepEqual(openSealedRevocation(native, privateKey, sealed), {
    environment: 'production',
    appTag: appTag(native, topic),
    createdAt: 1_800_000_000,
    subscriberTag: new Uint8Array(16),
    ownerKey: owner.publicKey,
    token,
  });
  assert.notDeepEqual(createOwnerKey().publicKey, owner.publicKey);
});
