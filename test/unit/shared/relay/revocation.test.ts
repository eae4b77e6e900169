import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { fromHex, toHex } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { appTag, ENVIRONMENTS } from '../../../../shared/relay/identity.js';
import {
  encodeSealedRevocation,
  openSealedRevocation,
  type RevocationFields,
  SEALED_REVOCATION_SIZE,
  sealedRevocationKeyId,
} from '../../../../shared/relay/revocation.js';
import { sealRecord } from '../../../../shared/relay/sealed-record.js';
import { encodeSealedToken, encodeTokenFields } from '../../../../shared/relay/sealed-token.js';
import { ownVector } from '../../../support/paths.js';

interface RevocationVector {
  readonly topic: string;
  readonly keyId: string;
  readonly privateKey: string;
  readonly publicKey: string;
  readonly cases: readonly {
    readonly environment: number;
    readonly time: number;
    readonly subscriberTag: string;
    readonly ownerSeed: string;
    readonly ownerKey: string;
    readonly token: string;
    readonly sealed: string;
  }[];
}

const v = ownVector<RevocationVector>('relay-revocation');
const key = { keyId: fromHex(v.keyId)!, publicKey: fromHex(v.publicKey)! };
const privateKey = fromHex(v.privateKey)!;

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const fieldsOf = (c: RevocationVector['cases'][number]): Required<RevocationFields> => ({
  environment: ENVIRONMENTS[c.environment]!,
  appTag: appTag(crypto, v.topic),
  createdAt: c.time,
  subscriberTag: fromHex(c.subscriberTag)!,
  token: fromHex(c.token)!,
});
const ownerOf = (c: RevocationVector['cases'][number]) => crypto.ed25519KeyPair(fromHex(c.ownerSeed)!);

/** Sealed as a revocation, whatever is in it. */
const sealed = (signed: Uint8Array, signature: Uint8Array) => {
  const plaintext = new Uint8Array([...signed, ...signature]);
  return sealRecord(crypto, key, { version: 2, size: 240 }, plaintext);
};

describe("the owner's sealed revocation", () => {
  for (const [i, c] of v.cases.entries()) {
    test(`${i} of another implementation opens`, () => {
      const revocation = fromHex(c.sealed)!;
      assert.equal(revocation.length, SEALED_REVOCATION_SIZE);
      assert.equal(toHex(sealedRevocationKeyId(revocation)), v.keyId);
      const ownerKey = fromHex(c.ownerKey)!;
      assert.deepEqual(openSealedRevocation(crypto, privateKey, revocation), { ...fieldsOf(c), ownerKey });
    });
  }

  test('of ours opens, has its size, and names no subscriber unless told to', () => {
    const { subscriberTag: _, ...fields } = fieldsOf(v.cases[0]!);
    const owner = ownerOf(v.cases[0]!);
    const revocation = encodeSealedRevocation(crypto, key, owner, fields);
    assert.equal(revocation.length, 293);
    const opened = openSealedRevocation(crypto, privateKey, revocation);
    assert.deepEqual(opened, {
      ...fields,
      subscriberTag: new Uint8Array(16),
      ownerKey: owner.publicKey,
    });
  });

  test('does not open with any byte changed, nor with another key', () => {
    const revocation = fromHex(v.cases[0]!.sealed)!;
    for (let at = 1; at < revocation.length; at += 7) {
      const forged = revocation.slice();
      forged[at]! ^= 1;
      assert.equal(openSealedRevocation(crypto, privateKey, forged), undefined);
    }
    assert.equal(openSealedRevocation(crypto, crypto.x25519KeyPair().privateKey, revocation), undefined);
  });

  test('is refused with the signature of another key, of other fields, or without an owner', () => {
    const owner = ownerOf(v.cases[0]!);
    const fields = { ...fieldsOf(v.cases[0]!), ownerKey: owner.publicKey };
    const signed = encodeTokenFields(fields);
    const stranger = crypto.ed25519KeyPair();
    const later = encodeTokenFields({ ...fields, createdAt: fields.createdAt + 1 });
    const unowned = encodeTokenFields({ ...fields, ownerKey: new Uint8Array(32) });
    const forgeries = {
      stranger: sealed(signed, crypto.ed25519Sign(stranger.privateKey, signed)),
      'other fields': sealed(later, crypto.ed25519Sign(owner.privateKey, signed)),
      'no owner': sealed(unowned, new Uint8Array(64)),
      'no owner, signed': sealed(unowned, crypto.ed25519Sign(owner.privateKey, unowned)),
    };
    for (const [name, forgery] of Object.entries(forgeries)) {
      assert.throws(() => openSealedRevocation(crypto, privateKey, forgery), DecodeError, name);
    }
  });

  test('is no sealed token, and none is a revocation', () => {
    const revocation = fromHex(v.cases[0]!.sealed)!;
    const token = encodeSealedToken(crypto, key, { ...fieldsOf(v.cases[0]!), ownerKey: new Uint8Array(32) });
    assert.throws(() => openSealedRevocation(crypto, privateKey, token), DecodeError);
    assert.throws(() => openSealedRevocation(crypto, privateKey, revocation.fill(1, 0, 1)), DecodeError);
  });
});
