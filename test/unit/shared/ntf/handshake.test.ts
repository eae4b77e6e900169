import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pad, unpad } from '../../../../shared/crypto/box.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { concat } from '../../../../shared/encoding/bytes.js';
import { ofAlgorithm } from '../../../../shared/encoding/keys.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { NTF_BLOCK_SIZE } from '../../../../shared/ntf/constants.js';
import {
  decodeClientHello,
  decodeServerHello,
  encodeClientHello,
  encodeServerHello,
} from '../../../../shared/ntf/handshake.js';
import { openSignedKey } from '../../../../shared/smp/handshake.js';
import { RECORDED, recorded } from '../../../support/ntf-recorded.js';

describe('NTF handshake', () => {
  for (const name of RECORDED) {
    it(`reads the hellos of ${name} and writes them byte for byte`, () => {
      const file = recorded(name);
      const hello = decodeServerHello(unpad(file.serverHello)!);
      assert.deepEqual(hello.versions, { min: 1, max: file.alpn === null ? 1 : 3 });
      assert.deepEqual(hello.sessionId, file.sessionId);
      assert.equal(hello.signedKey?.length, file.alpn === null ? undefined : 173);
      assert.deepEqual(pad(encodeServerHello(hello), NTF_BLOCK_SIZE), file.serverHello);
      const answer = decodeClientHello(unpad(file.clientHello)!);
      assert.deepEqual(answer, { version: file.version, keyHash: file.keyHash });
      assert.deepEqual(pad(encodeClientHello(answer), NTF_BLOCK_SIZE), file.clientHello);
    });
  }

  it('knows the recorded session keys by the signature of the Ed448 certificate', async () => {
    const crypto = await loadCrypto();
    for (const name of ['ntf-v3', 'ntf-v2'] as const) {
      const { serverHello, leafKey, sessionKey } = recorded(name);
      const { signedKey } = decodeServerHello(unpad(serverHello)!);
      const signer = ofAlgorithm(leafKey, 'ed448');
      assert.deepEqual(openSignedKey(crypto, signer, signedKey!), sessionKey!.raw);
      const forged = signedKey!.slice();
      forged[30]! ^= 1;
      assert.equal(openSignedKey(crypto, signer, forged), undefined);
    }
  });

  it('ignores trailing bytes', () => {
    const file = recorded('ntf-v3');
    const more = Uint8Array.of(1, 2, 3);
    const server = unpad(file.serverHello)!;
    assert.deepEqual(decodeServerHello(concat(server, more)), decodeServerHello(server));
    const client = unpad(file.clientHello)!;
    assert.deepEqual(decodeClientHello(concat(client, more)), decodeClientHello(client));
  });

  it('refuses an empty range, and a key that is missing or too much', () => {
    const sessionId = new Uint8Array(32);
    const signedKey = new Uint8Array(122);
    assert.throws(() => decodeServerHello(Uint8Array.of(0, 3, 0, 1, 0)), DecodeError);
    assert.throws(() => decodeServerHello(Uint8Array.of(0, 1, 0, 3, 0)), DecodeError);
    assert.throws(() => encodeServerHello({ versions: { min: 1, max: 3 }, sessionId }), RangeError);
    assert.throws(
      () => encodeServerHello({ versions: { min: 1, max: 1 }, sessionId, signedKey }),
      RangeError,
    );
  });
});
