import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { utf8 } from '../../../../shared/encoding/bytes.js';
import type { AuthAlgorithm } from '../../../../shared/encoding/keys.js';
import { type BlockCodec, plainBlocks } from '../../../../shared/smp/block.js';
import { RequestBlock, type RequestItem } from '../../../../shared/smp/request-block.js';
import {
  decodeBlock,
  encodeTransmission,
  intoBatches,
  smpSession,
} from '../../../../shared/smp/transmission.js';
import { native as crypto } from '../../../support/crypto.js';

const SESSION_ID = new Uint8Array(32).fill(7);
const ID = new Uint8Array(24);
const NSUB = utf8('NSUB');
const sessionServerKey = crypto.x25519KeyPair().publicKey;
/** Padded size of an encrypted block: what fits there fits everywhere. */
const encrypted: BlockCodec = { ...plainBlocks(), paddedSize: 16_368 };

const makeBlock = (version: number): RequestBlock =>
  new RequestBlock(crypto, { ...smpSession(version, SESSION_ID), sessionServerKey });

function capacity(block: RequestBlock, item: RequestItem): number {
  while (block.add(item)) assert.ok(block.count <= 255);
  return block.count;
}

describe('commands that fit a block (guide E.2)', () => {
  const service = { certHash: ID, sessionKey: crypto.ed25519KeyPair().privateKey };
  const cases: [version: number, algorithm: AuthAlgorithm, service: boolean, fit: number][] = [
    [6, 'ed25519', false, 106],
    [15, 'ed25519', false, 135],
    [18, 'ed25519', false, 134],
    [18, 'ed25519', true, 87],
    [18, 'x25519', false, 118],
  ];
  for (const [version, algorithm, inService, fit] of cases) {
    test(`NSUB at version ${version} by ${algorithm}${inService ? ' in a service session' : ''}: ${fit}`, () => {
      const key = { algorithm, raw: new Uint8Array(32).fill(1) };
      const block = makeBlock(version);
      const item = { corrId: ID, entityId: ID, command: NSUB, key, ...(inService && { service }) };
      assert.equal(capacity(block, item), fit);
      const received = decodeBlock(
        smpSession(version, SESSION_ID),
        plainBlocks().open(block.seal(encrypted)),
      );
      assert.equal(received.length, fit);
      assert.equal(block.count, 0);
    });
  }

  test('never more than 255, however small', () => {
    const ping = { corrId: Uint8Array.of(1), entityId: new Uint8Array(0), command: utf8('PING') };
    assert.equal(capacity(makeBlock(18), ping), 255);
    const params = smpSession(18, SESSION_ID);
    const item = encodeTransmission(params, { auth: new Uint8Array(0), ...ping });
    const groups = intoBatches(
      params,
      Array.from({ length: 300 }, () => item),
      16_384,
    );
    assert.deepEqual(
      groups.map((group) => group.length),
      [255, 45],
    );
  });
});

test('an id that its length byte could not tell is refused', () => {
  const item = { corrId: new Uint8Array(256), entityId: ID, command: NSUB };
  assert.throws(() => makeBlock(18).add(item), RangeError);
});

test('a block that is used again keeps nothing of the one before', () => {
  const block = makeBlock(18);
  for (let i = 0; i < 50; i++) block.add({ corrId: ID, entityId: ID, command: NSUB });
  block.seal(encrypted);
  block.add({ corrId: Uint8Array.of(1), entityId: new Uint8Array(0), command: utf8('PING') });
  const padded = block.seal(encrypted);
  assert.deepEqual(padded.subarray(0, 13), Uint8Array.of(0, 11, 1, 0, 8, 0, 1, 1, 0, ...utf8('PING')));
  assert.ok(padded.subarray(13).every((byte) => byte === 0x23));
});
