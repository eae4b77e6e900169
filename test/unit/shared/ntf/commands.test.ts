import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concat, utf8 } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { credentialsProblem, decodeCommand, encodeCommand } from '../../../../shared/ntf/commands.js';
import { RECORDED, recorded } from '../../../support/ntf-recorded.js';

const SYNTAX = /trailing|provider/;

describe('NTF commands', () => {
  for (const name of RECORDED) {
    it(`decodes the requests of ${name} and encodes them byte for byte`, () => {
      for (const { about, request } of recorded(name).steps) {
        if (SYNTAX.test(about)) {
          assert.throws(() => decodeCommand(request.command), DecodeError, about);
          continue;
        }
        const command = decodeCommand(request.command);
        if (about === 'unknown command') assert.equal(command, undefined);
        else assert.deepEqual(encodeCommand(command!), request.command, about);
      }
    });
  }

  it('reads the fields of a recorded TNEW and SNEW', () => {
    const { steps, notifierId, tokenId } = recorded('ntf-v3');
    const tnew = decodeCommand(steps[0]!.request.command);
    assert.equal(tnew?.word, 'TNEW');
    assert.equal(tnew.token.provider, 'AT');
    assert.deepEqual(tnew.token.text, utf8('3de9ee305277cc92180a818c2673ea2a'));
    assert.equal(tnew.verifyKey.algorithm, 'ed25519');
    const snew = decodeCommand(steps.find(({ about }) => about === 'SNEW')!.request.command);
    assert.equal(snew?.word, 'SNEW');
    assert.deepEqual(snew.tokenId, tokenId);
    assert.deepEqual(snew.queue.notifierId, notifierId);
    assert.equal(snew.queue.server.port, '15223');
  });

  it('hands the token out as a view, so that it goes when the block is overwritten', () => {
    const bytes = recorded('ntf-v3').steps[0]!.request.command.slice();
    const command = decodeCommand(bytes);
    assert.equal(command?.word, 'TNEW');
    bytes.fill(0);
    assert.ok(command.token.text.every((byte) => byte === 0));
  });

  it('takes a word up to the first space', () => {
    for (const text of [
      '',
      'OK',
      'PONG',
      'TNEWX',
      'tchk',
      ' TCHK',
      'TCHKX',
      'HELLO',
      'toString',
      '__proto__',
    ]) {
      assert.equal(decodeCommand(utf8(text)), undefined, text);
    }
    for (const text of [
      'TCHK ',
      'PING x',
      'TNEW',
      'TNEW ',
      'TVFY',
      'TCRN \0',
      'TCRN \0\0\0',
      'SNEW T',
      'TRPL ZZ\0',
    ]) {
      assert.throws(() => decodeCommand(utf8(text)), DecodeError, text);
    }
  });

  it('refuses a key of the wrong family', () => {
    const { command } = recorded('ntf-v3').steps[0]!.request;
    const dhKey = command.slice(-44);
    const authKey = command.slice(-89, -45);
    const head = command.slice(0, -90);
    const swapped = concat(head, Uint8Array.of(44), authKey, Uint8Array.of(44), authKey);
    assert.throws(() => decodeCommand(swapped), DecodeError);
    const x25519 = decodeCommand(concat(head, Uint8Array.of(44), dhKey, Uint8Array.of(44), dhKey));
    assert.equal(x25519?.word === 'TNEW' && x25519.verifyKey.algorithm, 'x25519');
  });

  it('knows which credentials a command needs', () => {
    const given = (auth: boolean, entity: boolean) => ({ auth, entity });
    assert.equal(credentialsProblem('PING', given(false, false)), undefined);
    assert.equal(credentialsProblem('PING', given(true, false)), 'HAS_AUTH');
    assert.equal(credentialsProblem('PING', given(false, true)), 'HAS_AUTH');
    for (const word of ['TNEW', 'SNEW'] as const) {
      assert.equal(credentialsProblem(word, given(true, false)), undefined);
      assert.equal(credentialsProblem(word, given(false, false)), 'NO_AUTH');
      assert.equal(credentialsProblem(word, given(false, true)), 'NO_AUTH');
      assert.equal(credentialsProblem(word, given(true, true)), 'HAS_AUTH');
    }
    for (const word of ['TVFY', 'TCHK', 'TRPL', 'TDEL', 'TCRN', 'SCHK', 'SDEL'] as const) {
      assert.equal(credentialsProblem(word, given(true, true)), undefined);
      assert.equal(credentialsProblem(word, given(false, true)), 'NO_AUTH');
      assert.equal(credentialsProblem(word, given(true, false)), 'NO_AUTH');
      assert.equal(credentialsProblem(word, given(false, false)), 'NO_AUTH');
    }
  });
});
