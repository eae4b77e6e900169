import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { fromHex, toHex } from '../../../../shared/encoding/bytes.js';
import { gatewayFingerprint } from '../../../../shared/relay/identity.js';
import {
  checkStatement,
  currentSealingKey,
  MAX_APPS,
  MAX_SEALING_KEYS,
  MAX_STATEMENT_SIZE,
  type StatementContent,
  signStatement,
} from '../../../../shared/relay/statement.js';
import { ownVector } from '../../../support/paths.js';

interface StatementVector {
  readonly fingerprint: string;
  readonly sealingPublicKey: string;
  readonly tlsSpki: string;
  readonly document: string;
}

const v = ownVector<StatementVector>('relay-statement');
const NOW = 1_800_000_100;
const expected = { fingerprint: v.fingerprint, now: NOW };

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const refusal = (document: string, changes: object = {}): string | undefined => {
  const result = checkStatement(crypto, document, { ...expected, ...changes });
  return 'refused' in result ? result.refused : undefined;
};

describe('statement of another implementation', () => {
  test('is taken, names that are not known are ignored', () => {
    const result = checkStatement(crypto, v.document, expected);
    assert.ok('statement' in result);
    const { statement } = result;
    assert.equal(statement.issuedAt, 1_800_000_000);
    assert.deepEqual(statement.apps[0]?.environments, ['production', 'sandbox']);
    assert.equal(toHex(statement.sealingKeys[0]!.publicKey), v.sealingPublicKey);
    assert.equal(toHex(statement.tlsSpki!), v.tlsSpki);
    assert.equal(toHex(currentSealingKey(statement, NOW)!.publicKey), v.sealingPublicKey);
  });

  test('is refused for each reason by its name', () => {
    const other = gatewayFingerprint(crypto, new Uint8Array(32));
    const wrongTls = fromHex(v.tlsSpki)!.fill(0, 0, 1);
    assert.equal(refusal(v.document, { fingerprint: other }), 'wrong-fingerprint');
    assert.equal(refusal(v.document, { now: 1_800_086_399 }), undefined);
    assert.equal(refusal(v.document, { now: 1_800_086_400 }), 'expired');
    assert.equal(refusal(v.document, { now: 1_799_000_000 }), 'not-yet-valid');
    assert.equal(refusal(v.document, { seenIssuedAt: 1_800_000_000 }), undefined);
    assert.equal(refusal(v.document, { seenIssuedAt: 1_800_000_001 }), 'older-than-seen');
    assert.equal(refusal(v.document, { tlsSpki: fromHex(v.tlsSpki)! }), undefined);
    assert.equal(refusal(v.document, { tlsSpki: wrongTls }), 'wrong-tls-key');
    assert.equal(refusal(v.document.replace('mutableBurst', 'mutableburst')), 'malformed');
    assert.equal(refusal(v.document.replace('12', '13')), 'bad-signature');
    assert.equal(refusal(v.document.slice(1)), 'malformed');
    assert.equal(refusal('{}'), 'malformed');
    assert.equal(
      refusal(JSON.stringify({ statement: 'x'.repeat(MAX_STATEMENT_SIZE), signature: '' })),
      'malformed',
    );
  });
});

describe('our own statement', () => {
  const content: StatementContent = {
    issuedAt: NOW,
    validUntil: NOW + 10,
    apps: [],
    sealingKeys: [
      { keyId: new Uint8Array(4), publicKey: new Uint8Array(32).fill(1), notBefore: 0, notAfter: NOW },
      { keyId: new Uint8Array(4), publicKey: new Uint8Array(32).fill(2), notBefore: 5, notAfter: NOW + 1 },
      { keyId: new Uint8Array(4), publicKey: new Uint8Array(32).fill(3), notBefore: 4, notAfter: NOW + 9 },
      {
        keyId: new Uint8Array(4),
        publicKey: new Uint8Array(32).fill(4),
        notBefore: NOW + 1,
        notAfter: NOW + 9,
      },
    ],
  };

  test('is taken, and only a connection that needs its key asks for one', () => {
    const identity = crypto.ed25519KeyPair();
    const document = signStatement(crypto, identity, content);
    const fingerprint = gatewayFingerprint(crypto, identity.publicKey);
    const result = checkStatement(crypto, document, { fingerprint, now: NOW });
    assert.ok('statement' in result);
    assert.deepEqual(result.statement.sealingKeys, content.sealingKeys);
    assert.equal(refusal(document, { fingerprint, tlsSpki: new Uint8Array(32) }), 'wrong-tls-key');
  });

  test('the newest valid sealing key is used', () => {
    const statement = { sealingKeys: content.sealingKeys } as Parameters<typeof currentSealingKey>[0];
    assert.equal(currentSealingKey(statement, NOW)?.publicKey[0], 2);
    assert.equal(currentSealingKey(statement, NOW + 1)?.publicKey[0], 4);
    assert.equal(currentSealingKey(statement, NOW + 9), undefined);
  });
});

test('the largest statement that a gateway can be told to make is taken', () => {
  const limits = {
    backgroundPerHour: 1_000,
    alertPerHour: 1_000,
    mutableBurst: 1_000,
    mutablePerDay: 10_000,
  };
  const environments = ['production', 'sandbox', 'test'] as const;
  const app = { environments: [...environments], profiles: ['simplex'], limits };
  const key = { notBefore: NOW, notAfter: NOW + 1, keyId: new Uint8Array(4), publicKey: new Uint8Array(32) };
  const identity = crypto.ed25519KeyPair();
  const document = signStatement(crypto, identity, {
    issuedAt: NOW,
    validUntil: NOW + 1,
    apps: Array.from({ length: MAX_APPS }, (_, i) => ({ ...app, topic: String(i).padStart(155, 'x') })),
    sealingKeys: new Array<typeof key>(MAX_SEALING_KEYS).fill(key),
  });
  const fingerprint = gatewayFingerprint(crypto, identity.publicKey);
  assert.ok('statement' in checkStatement(crypto, document, { fingerprint, now: NOW }));
});
