import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { fromHex, toHex, utf8 } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import {
  codeSlot,
  decodeVerificationPayload,
  encodeVerificationPayload,
  makeCode,
  slotOf,
  slotStart,
} from '../../../../shared/relay/verification.js';
import { ownVector } from '../../../support/paths.js';

const frame = ownVector<{ m: string; payload: string }>('relay-verification');
const codes = ownVector<{ root: string; id: string; codes: { slot: number; code: string }[] }>(
  'relay-capability',
);

describe('payload of a verification frame', () => {
  test('is the key and zeros', () => {
    assert.equal(toHex(encodeVerificationPayload(fromHex(frame.m)!)), frame.payload);
    assert.equal(toHex(decodeVerificationPayload(fromHex(frame.payload)!)), frame.m);
  });

  test('is refused with anything behind the key, or of another size', () => {
    const payload = fromHex(frame.payload)!;
    assert.throws(() => decodeVerificationPayload(payload.subarray(1)), DecodeError);
    payload[payload.length - 1] = 1;
    assert.throws(() => decodeVerificationPayload(payload), DecodeError);
    assert.throws(() => encodeVerificationPayload(new Uint8Array(31)), RangeError);
  });
});

describe('code', () => {
  let crypto: Crypto;
  before(async () => {
    crypto = await loadCrypto();
  });

  test('is that of another implementation', () => {
    const root = fromHex(codes.root)!;
    const key = crypto.hkdfSha256(new Uint8Array(0), root, utf8('porchlight code v1'), 32);
    for (const { slot, code } of codes.codes) {
      assert.equal(toHex(makeCode(crypto, key, fromHex(codes.id)!, slot)), code);
      assert.equal(codeSlot(fromHex(code)!), slot);
    }
  });

  test('a slot is five minutes', () => {
    assert.equal(slotOf(299), 0);
    assert.equal(slotOf(300), 1);
    assert.equal(slotStart(slotOf(1_800_000_123)), 1_800_000_000);
    assert.throws(() => codeSlot(new Uint8Array(31)), DecodeError);
  });
});
