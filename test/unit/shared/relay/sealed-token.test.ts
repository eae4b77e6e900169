import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { fromHex, toHex } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { appTag, ENVIRONMENTS, subscriberTag } from '../../../../shared/relay/identity.js';
import {
  encodeSealedToken,
  openSealedToken,
  SEALED_TOKEN_SIZE,
  sealedTokenKeyId,
  type TokenFields,
} from '../../../../shared/relay/sealed-token.js';
import { ownVector } from '../../../support/paths.js';

interface TokenVector {
  readonly subscriberPublicKey: string;
  readonly topic: string;
  readonly keyId: string;
  readonly privateKey: string;
  readonly publicKey: string;
  readonly cases: readonly {
    readonly environment: number;
    readonly createdAt: number;
    readonly ownerKey: string;
    readonly token: string;
    readonly sealed: string;
  }[];
}

const v = ownVector<TokenVector>('relay-sealed-token');
const key = { keyId: fromHex(v.keyId)!, publicKey: fromHex(v.publicKey)! };
const privateKey = fromHex(v.privateKey)!;

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const fieldsOf = (c: TokenVector['cases'][number]): TokenFields => ({
  environment: ENVIRONMENTS[c.environment]!,
  appTag: appTag(crypto, v.topic),
  createdAt: c.createdAt,
  subscriberTag: subscriberTag(crypto, fromHex(v.subscriberPublicKey)!),
  ownerKey: fromHex(c.ownerKey)!,
  token: fromHex(c.token)!,
});

describe('sealed token', () => {
  for (const [i, c] of v.cases.entries()) {
    test(`${i} of another implementation opens`, () => {
      const sealed = fromHex(c.sealed)!;
      assert.equal(toHex(sealedTokenKeyId(sealed)), v.keyId);
      assert.deepEqual(openSealedToken(crypto, privateKey, sealed), fieldsOf(c));
    });
  }

  test('of ours opens, has its size, and never looks the same twice', () => {
    const fields = fieldsOf(v.cases[0]!);
    const sealed = encodeSealedToken(crypto, key, fields);
    assert.equal(sealed.length, SEALED_TOKEN_SIZE);
    assert.deepEqual(openSealedToken(crypto, privateKey, sealed), fields);
    assert.notDeepEqual(encodeSealedToken(crypto, key, fields), sealed);
  });

  test('does not open with any byte changed, nor with another key', () => {
    const sealed = fromHex(v.cases[0]!.sealed)!;
    for (let at = 1; at < sealed.length; at += 7) {
      const forged = sealed.slice();
      forged[at]! ^= 1;
      assert.equal(openSealedToken(crypto, privateKey, forged), undefined);
    }
    assert.equal(openSealedToken(crypto, crypto.x25519KeyPair().privateKey, sealed), undefined);
  });

  test('of another size or version is refused', () => {
    const sealed = fromHex(v.cases[0]!.sealed)!;
    assert.throws(() => openSealedToken(crypto, privateKey, sealed.subarray(1)), DecodeError);
    assert.throws(() => openSealedToken(crypto, privateKey, sealed.fill(2, 0, 1)), DecodeError);
  });

  test('takes tokens of 1 to 100 bytes', () => {
    const fields = fieldsOf(v.cases[0]!);
    for (const length of [0, 101]) {
      const token = new Uint8Array(length);
      assert.throws(() => encodeSealedToken(crypto, key, { ...fields, token }), RangeError);
    }
  });
});
