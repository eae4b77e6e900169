import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { openCapability, sealCapability } from '../../../../../services/gateway/capabilities/capability.js';
import type { Epoch } from '../../../../../services/gateway/capabilities/epochs.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { fromHex, toHex, utf8 } from '../../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../../shared/encoding/reader.js';
import { appTag, ENVIRONMENTS, subscriberTag } from '../../../../../shared/relay/identity.js';
import { ownVector } from '../../../../support/paths.js';

interface CapabilityVector {
  readonly root: string;
  readonly keyId: string;
  readonly start: number;
  readonly subscriberPublicKey: string;
  readonly topic: string;
  readonly id: string;
  readonly cases: readonly {
    readonly proven: boolean;
    readonly environment: number;
    readonly createdAt: number;
    readonly issued: number;
    readonly provenAt: number;
    readonly expires: number;
    readonly ownerKey: string;
    readonly token: string;
    readonly capability: string;
  }[];
}

const v = ownVector<CapabilityVector>('relay-capability');

let crypto: Crypto;
let epoch: Epoch;
before(async () => {
  crypto = await loadCrypto();
  const child = (info: string) => crypto.hkdfSha256(new Uint8Array(0), fromHex(v.root)!, utf8(info), 32);
  epoch = {
    keyId: fromHex(v.keyId)!,
    start: v.start,
    capabilityKey: child('porchlight capability v1'),
    codeKey: child('porchlight code v1'),
  };
});

const fieldsOf = (c: CapabilityVector['cases'][number]) => ({
  proven: c.proven,
  environment: ENVIRONMENTS[c.environment]!,
  appTag: appTag(crypto, v.topic),
  subscriberTag: subscriberTag(crypto, fromHex(v.subscriberPublicKey)!),
  id: fromHex(v.id)!,
  createdAt: c.createdAt,
  issued: c.issued,
  provenAt: c.provenAt,
  expires: c.expires,
  ownerKey: fromHex(c.ownerKey)!,
  token: fromHex(c.token)!,
});

describe('capability', () => {
  for (const [i, c] of v.cases.entries()) {
    test(`${i} of another implementation opens, and is sealed to the same bytes`, () => {
      const { plaintext, epoch: sealer, ...fields } = openCapability(crypto, epoch, fromHex(c.capability)!);
      assert.equal(sealer, epoch);
      const hexed = (value: object) =>
        JSON.stringify(value, (_, x) => (x instanceof Uint8Array ? toHex(x) : x));
      assert.equal(hexed(fields), hexed(fieldsOf(c)));
      const nonce = fromHex(c.capability)!.subarray(5, 29);
      const fixed = { ...crypto, randomBytes: () => nonce };
      assert.equal(toHex(sealCapability(fixed, epoch, fieldsOf(c))), c.capability);
      assert.ok(plaintext.some((byte) => byte !== 0));
    });
  }

  test('does not open with any byte changed', () => {
    const good = fromHex(v.cases[0]!.capability)!;
    for (let at = 0; at < good.length; at += 5) {
      const forged = good.slice();
      forged[at]! ^= 1;
      assert.throws(() => openCapability(crypto, epoch, forged), DecodeError, `byte ${at}`);
    }
  });

  test('is sealed under a nonce of its own each time', () => {
    const fields = fieldsOf(v.cases[0]!);
    assert.notDeepEqual(sealCapability(crypto, epoch, fields), sealCapability(crypto, epoch, fields));
  });
});
