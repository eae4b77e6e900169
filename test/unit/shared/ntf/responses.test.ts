import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { utf8 } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import {
  decodeResponse,
  decodeSubscriptionStatus,
  decodeTokenStatus,
  encodeResponse,
  encodeSubscriptionStatus,
  encodeTokenStatus,
  entityFits,
  type NtfSubscriptionStatus,
} from '../../../../shared/ntf/responses.js';
import { RECORDED, recorded } from '../../../support/ntf-recorded.js';

describe('NTF responses', () => {
  for (const name of RECORDED) {
    it(`decodes the replies of ${name} and encodes them byte for byte`, () => {
      const { steps, version } = recorded(name);
      for (const { about, response } of steps) {
        const decoded = decodeResponse(response.command);
        assert.deepEqual(encodeResponse(decoded, version), response.command, about);
        assert.ok(entityFits(decoded.word, response.entityId), about);
      }
    });
  }

  it('cuts the reason of INVALID below version 3', () => {
    const status = { kind: 'INVALID', reason: 'UNREGISTERED' } as const;
    assert.equal(encodeTokenStatus(status, 3), 'INVALID,UNREGISTERED');
    assert.equal(encodeTokenStatus(status, 2), 'INVALID');
    assert.equal(encodeTokenStatus({ kind: 'INVALID' }, 3), 'INVALID');
    for (const reason of ['BAD', 'TOPIC', 'EXPIRED', 'UNREGISTERED'] as const) {
      assert.deepEqual(decodeTokenStatus(`INVALID,${reason}`), { kind: 'INVALID', reason });
    }
    for (const text of ['', 'INVALID,', 'INVALID,LATER', 'active', 'ACTIVE ']) {
      assert.throws(() => decodeTokenStatus(text), DecodeError, text);
    }
  });

  it('writes every status of a subscription as the guide has it', () => {
    const words = ['NEW', 'PENDING', 'ACTIVE', 'INACTIVE', 'END', 'DELETED', 'AUTH', 'SERVICE'] as const;
    const statuses: NtfSubscriptionStatus[] = words.map((kind) => ({ kind }));
    for (const status of [...statuses, { kind: 'ERR', text: 'QUOTA' } as const]) {
      assert.deepEqual(decodeSubscriptionStatus(encodeSubscriptionStatus(status)), status);
    }
    assert.equal(encodeSubscriptionStatus({ kind: 'ERR', text: 'CMD PROHIBITED' }), 'ERR CMD PROHIBITED');
    assert.throws(() => decodeSubscriptionStatus('LOST'), DecodeError);
  });

  it('refuses what is no response', () => {
    for (const text of [
      '',
      'OK ',
      'PONG x',
      'IDTKN',
      'TKN',
      'SUB LOST',
      'ERR NEWS',
      'IDSUB \u0002a',
      'TCHK',
    ]) {
      assert.throws(() => decodeResponse(utf8(text)), DecodeError, text);
    }
  });

  it('knows which responses come without an entity', () => {
    const id = Uint8Array.of(1);
    const none = new Uint8Array(0);
    for (const word of ['IDTKN', 'IDSUB', 'PONG'] as const) {
      assert.ok(entityFits(word, none) && !entityFits(word, id), word);
    }
    for (const word of ['OK', 'TKN', 'SUB'] as const)
      assert.ok(entityFits(word, id) && !entityFits(word, none), word);
    assert.ok(entityFits('ERR', none) && entityFits('ERR', id));
  });
});
