import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Answer,
  answerOf,
  ERROR_WORDS,
  statusByte,
  statusOf,
} from '../../../../../../services/subscriber/sources/smp/statuses.js';
import { concat, latin1, utf8 } from '../../../../../../shared/encoding/bytes.js';
import { encodeSubscriptionStatus } from '../../../../../../shared/ntf/responses.js';
import { decodeServerMessage } from '../../../../../../shared/smp/commands.js';

/** What an `ERR …` to an NSUB comes to. */
function answerTo(error: string | Uint8Array): Answer {
  const bytes = typeof error === 'string' ? utf8(error) : error;
  const message = decodeServerMessage(concat(utf8('ERR '), bytes), 18);
  assert.equal(message?.word, 'ERR');
  return answerOf(message.error);
}

describe('what an error to NSUB means (guide A.7, design §3)', () => {
  const final = { AUTH: 'auth', SERVICE: 'service' } as const;
  for (const [text, kind] of Object.entries(final)) {
    test(`${text}: ${kind}`, () => assert.deepEqual(answerTo(text), { kind }));
  }

  test('INTERNAL and STORE are temporary, whatever a database said', () => {
    for (const text of [
      'INTERNAL',
      'STORE ',
      'STORE lost',
      concat(utf8('STORE '), Uint8Array.of(0xff, 0xc3)),
    ]) {
      assert.deepEqual(answerTo(text), { kind: 'temporary' });
    }
  });

  const words: Record<string, string> = {
    BLOCK: 'SMP error BLOCK',
    SESSION: 'SMP error SESSION',
    'CMD UNKNOWN': 'SMP error CMD UNKNOWN',
    'CMD PROHIBITED': 'SMP error CMD PROHIBITED',
    'CMD NO_QUEUE': 'SMP error CMD NO_ENTITY',
    'PROXY NO_SESSION': 'SMP error PROXY',
    'PROXY BROKER NETWORK TLS \u0001x': 'SMP error PROXY',
    'BLOCKED reason=spam': 'SMP error BLOCKED',
    'BLOCKED reason=content,notice={"ttl":60}': 'SMP error BLOCKED',
    CRYPTO: 'SMP error CRYPTO',
    QUOTA: 'SMP error QUOTA',
    EXPIRED: 'SMP error EXPIRED',
    NO_MSG: 'SMP error NO_MSG',
    LARGE_MSG: 'SMP error LARGE_MSG',
    DUPLICATE_: 'SMP unexpected response',
  };
  for (const [text, word] of Object.entries(words)) {
    test(`${latin1(utf8(text)).slice(0, 24)}: ERR ${word}`, () =>
      assert.deepEqual(answerTo(text), { kind: 'error', word }));
  }
});

test('every status fits a byte, and every word a reply of the NTF protocol', () => {
  const kinds = ['pending', 'active', 'inactive', 'end', 'deleted', 'auth', 'service'] as const;
  for (const kind of kinds) assert.deepEqual(statusOf(statusByte({ kind })), { kind });
  for (const word of ERROR_WORDS) {
    assert.deepEqual(statusOf(statusByte({ kind: 'error', word })), { kind: 'error', word });
    assert.match(encodeSubscriptionStatus({ kind: 'ERR', text: word }), /^ERR [\x20-\x7e]{1,40}$/);
  }
});
