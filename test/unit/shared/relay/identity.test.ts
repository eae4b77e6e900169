import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, test } from 'node:test';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import {
  appTag,
  formatGatewayAddress,
  gatewayFingerprint,
  parseGatewayAddress,
  subscriberTag,
} from '../../../../shared/relay/identity.js';

const FINGERPRINT = 'LcJUMfVhwD8yxjAiSaDzzGF3-kLG4Uh0Zl_ZIjrRwjI';

describe('gateway address', () => {
  const good: [string, { host: string; port: number }][] = [
    [`porchlight-gateway://${FINGERPRINT}@gateway.example`, { host: 'gateway.example', port: 443 }],
    [`porchlight-gateway://${FINGERPRINT}@gateway.example:8443`, { host: 'gateway.example', port: 8443 }],
    [`porchlight-gateway://${FINGERPRINT}@10.0.0.1:443`, { host: '10.0.0.1', port: 443 }],
    [`porchlight-gateway://${FINGERPRINT}@[2001:db8::1]:8443`, { host: '2001:db8::1', port: 8443 }],
  ];
  for (const [text, expected] of good) {
    test(text.slice(22 + FINGERPRINT.length), () => {
      const address = parseGatewayAddress(text);
      assert.deepEqual(address, { fingerprint: FINGERPRINT, ...expected });
      assert.deepEqual(parseGatewayAddress(formatGatewayAddress(address!)), address);
    });
  }

  for (const bad of [
    '',
    'porchlight-gateway://gateway.example',
    `porchlight-gateway://${FINGERPRINT}@`,
    `porchlight-gateway://${FINGERPRINT.slice(1)}@gateway.example`,
    `porchlight-gateway://${FINGERPRINT}:password@gateway.example`,
    `porchlight-gateway://${FINGERPRINT}=@gateway.example`,
    `porchlight-gateway://${FINGERPRINT}@gateway.example@other.example`,
    `porchlight-gateway://${FINGERPRINT}@gateway.example/path`,
    `porchlight-gateway://${FINGERPRINT}@gateway.example?query`,
    `porchlight-gateway://${FINGERPRINT}@gateway.example#fragment`,
    `porchlight-gateway://${FINGERPRINT}@gateway.example:70000`,
    `https://${FINGERPRINT}@gateway.example`,
  ]) {
    test(`refuses ${bad.replace(FINGERPRINT, 'F')}`, () => assert.equal(parseGatewayAddress(bad), undefined));
  }
});

describe('tags', () => {
  let crypto: Crypto;
  before(async () => {
    crypto = await loadCrypto();
  });
  const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest();

  test('are the first bytes of SHA-256', () => {
    const key = new Uint8Array(32).fill(7);
    assert.deepEqual(Buffer.from(subscriberTag(crypto, key)), sha256(key).subarray(0, 16));
    assert.deepEqual(Buffer.from(appTag(crypto, 'chat.example')), sha256('chat.example').subarray(0, 8));
    assert.equal(gatewayFingerprint(crypto, key), sha256(key).toString('base64url'));
  });
});
