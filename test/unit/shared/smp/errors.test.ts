import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { latin1, utf8 } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import {
  decodeError,
  decodeTransportError,
  type ErrorType,
  encodeError,
  encodeTransportError,
} from '../../../../shared/smp/errors.js';

const CASES: readonly [string, ErrorType][] = [
  ['BLOCK', { kind: 'BLOCK' }],
  ['SESSION', { kind: 'SESSION' }],
  ['AUTH', { kind: 'AUTH' }],
  ['SERVICE', { kind: 'SERVICE' }],
  ['NO_MSG', { kind: 'NO_MSG' }],
  ['DUPLICATE_', { kind: 'DUPLICATE_' }],
  ['CMD SYNTAX', { kind: 'CMD', reason: 'SYNTAX' }],
  ['CMD NO_ENTITY', { kind: 'CMD', reason: 'NO_ENTITY' }],
  ['STORE disk full', { kind: 'STORE', text: 'disk full' }],
  ['STORE ', { kind: 'STORE', text: '' }],
  ['BLOCKED reason=spam', { kind: 'BLOCKED', reason: 'spam' }],
  ['BLOCKED reason=content,notice={}', { kind: 'BLOCKED', reason: 'content', notice: {} }],
  ['BLOCKED reason=spam,notice={"ttl":3600}', { kind: 'BLOCKED', reason: 'spam', notice: { ttl: 3600 } }],
  ['PROXY NO_SESSION', { kind: 'PROXY', error: { kind: 'NO_SESSION' } }],
  ['PROXY PROTOCOL AUTH', { kind: 'PROXY', error: { kind: 'PROTOCOL', error: { kind: 'AUTH' } } }],
  ['PROXY BROKER TIMEOUT', { kind: 'PROXY', error: { kind: 'BROKER', error: { kind: 'TIMEOUT' } } }],
  ['PROXY BROKER NETWORK', { kind: 'PROXY', error: { kind: 'BROKER', error: { kind: 'NETWORK' } } }],
  [
    'PROXY BROKER NETWORK TLS \x02no',
    {
      kind: 'PROXY',
      error: { kind: 'BROKER', error: { kind: 'NETWORK', error: { kind: 'TLS', text: utf8('no') } } },
    },
  ],
  [
    'PROXY BROKER UNEXPECTED \x01x',
    { kind: 'PROXY', error: { kind: 'BROKER', error: { kind: 'UNEXPECTED', text: utf8('x') } } },
  ],
  [
    'PROXY BROKER TRANSPORT HANDSHAKE IDENTITY',
    {
      kind: 'PROXY',
      error: {
        kind: 'BROKER',
        error: { kind: 'TRANSPORT', error: { kind: 'HANDSHAKE', reason: 'IDENTITY' } },
      },
    },
  ],
];

describe('errors (guide A.7)', () => {
  for (const [text, error] of CASES) {
    test(JSON.stringify(text), () => {
      assert.equal(latin1(encodeError(error)), text);
      assert.deepEqual(decodeError(utf8(text)), error);
    });
  }

  test('NO_QUEUE is read as NO_ENTITY', () => {
    assert.deepEqual(decodeError(utf8('CMD NO_QUEUE')), { kind: 'CMD', reason: 'NO_ENTITY' });
  });

  for (const text of [
    '',
    'NAME x',
    'auth',
    'AUTH ',
    'CMD',
    'CMD ',
    'CMD OTHER',
    'BLOCKED',
    'BLOCKED reason=rain',
    'BLOCKED reason=spam,notice=',
    'BLOCKED reason=spam,notice=[]',
    'BLOCKED reason=spam,notice={"ttl":"x"}',
    'PROXY',
    'PROXY PROTOCOL PROXY PROTOCOL PROXY PROTOCOL AUTH',
    'PROXY BROKER RESPONSE',
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => decodeError(utf8(text)), DecodeError));
  }

  test('STORE is known whatever bytes its text has', () => {
    const error = decodeError(Uint8Array.of(...utf8('STORE cut \u00e9'), 0xc3, 0xff));
    assert.deepEqual(error, { kind: 'STORE', text: 'cut \u00e9\ufffd\ufffd' });
  });

  test('refuses a notice that is not UTF-8', () => {
    const bytes = Uint8Array.of(...utf8('BLOCKED reason=spam,notice='), 0xff);
    assert.throws(() => decodeError(bytes), DecodeError);
  });

  test('older peers do not get what they do not know', () => {
    const error: ErrorType = { kind: 'BLOCKED', reason: 'spam', notice: { ttl: 1 } };
    assert.equal(latin1(encodeError(error, 11)), 'AUTH');
    assert.equal(latin1(encodeError(error, 12)), 'BLOCKED reason=spam');
    assert.equal(latin1(encodeError(error, 18)), 'BLOCKED reason=spam,notice={"ttl":1}');
  });

  test('errors of a handshake', () => {
    const error = { kind: 'HANDSHAKE', reason: 'BAD_SERVICE' } as const;
    assert.equal(latin1(encodeTransportError(error)), 'HANDSHAKE BAD_SERVICE');
    assert.deepEqual(decodeTransportError(utf8('HANDSHAKE BAD_SERVICE')), error);
    assert.throws(() => decodeTransportError(utf8('HANDSHAKE')), DecodeError);
  });
});
