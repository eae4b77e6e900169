/** The recorded NTF sessions block by block, in both roles: what was on the wire is read, judged and made anew. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { pad, unpad } from '../../../../shared/crypto/box.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { publicKeyOf } from '../../../../shared/crypto/signatures.js';
import { fromHex } from '../../../../shared/encoding/bytes.js';
import {
  type AuthAlgorithm,
  decodePrivateKey,
  type Key,
  ofAlgorithm,
} from '../../../../shared/encoding/keys.js';
import { decodeCommand, encodeCommand } from '../../../../shared/ntf/commands.js';
import { NTF_BLOCK_SIZE } from '../../../../shared/ntf/constants.js';
import { ntfSession } from '../../../../shared/ntf/handshake.js';
import { decodeResponse, encodeResponse } from '../../../../shared/ntf/responses.js';
import { authorize, verifyAuth } from '../../../../shared/smp/auth.js';
import { openSignedKey } from '../../../../shared/smp/handshake.js';
import {
  authorizedAsReceived,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  problemOf,
  type Received,
  type SessionParams,
} from '../../../../shared/smp/transmission.js';
import { RECORDED, recorded } from '../../../support/ntf-recorded.js';
import { vector } from '../../../support/paths.js';

const crypto = await loadCrypto();
const NO_SERVER_KEY = { sessionPrivateKey: undefined };

/** The one transmission of a content, which comes out of the codec as it went in. */
function only(params: SessionParams, content: Uint8Array): Received {
  const received = decodeBlock(params, content);
  assert.equal(received.length, 1);
  const [transmission] = received as [Received];
  assert.deepEqual(encodeBatch(params, [encodeTransmission(params, transmission)]), content);
  assert.equal(problemOf(params, transmission), undefined);
  return transmission;
}

for (const name of RECORDED) {
  describe(name, () => {
    const file = recorded(name);
    const params = ntfSession(file.version, file.sessionId);
    const key = ofAlgorithm(file.authKey, 'ed25519');
    const verifyKey = publicKeyOf(crypto, key) as Key<AuthAlgorithm>;

    it('has every block as this code pads, splits and joins it', () => {
      assert.equal(file.blocks.length, 2 * file.steps.length);
      file.blocks.forEach(({ direction, block }, i) => {
        const { request, response } = file.steps[i >> 1]!;
        const content = unpad(block)!;
        const expected = direction === 'client->server' ? request : response;
        const { corrId, entityId, command } = only(params, content);
        assert.deepEqual(
          { corrId, entityId, command },
          { corrId: expected.corrId, entityId: expected.entityId, command: expected.command },
        );
        if (direction === 'server->client') assert.deepEqual(pad(content, NTF_BLOCK_SIZE), block);
      });
    });

    it('has signatures that are right where the server found them right', () => {
      let right = 0;
      for (const { about, request, response } of file.steps) {
        const received = decodeBlock(params, encodeBatch(params, [request.transmission]))[0]!;
        const { auth, corrId } = received;
        if (auth.length === 0) continue;
        const covered = authorizedAsReceived(params, received);
        const isRight = verifyAuth(crypto, verifyKey, { ...NO_SERVER_KEY, corrId }, covered, auth);
        assert.equal(isRight, !about.includes('another key'), about);
        if (!isRight)
          assert.deepEqual(decodeResponse(response.command), { word: 'ERR', error: { kind: 'AUTH' } });
        else {
          right++;
          assert.deepEqual(authorize(crypto, key, { sessionServerKey: undefined, corrId }, covered), auth);
        }
      }
      assert.ok(right > 15);
    });
  });
}

interface SecondRecording {
  readonly ntf: Readonly<
    Record<
      string,
      {
        readonly sessionId: string;
        readonly signedKeyDer: string | null;
        readonly tlsLeafDer: string;
        readonly tokenKey: string;
        readonly log: readonly { readonly dir: string; readonly content: string }[];
      }
    >
  >;
}

describe('second recording', () => {
  const { ntf } = vector<SecondRecording>('more/smp-ntf-recorded');
  for (const [name, version] of [
    ['v3', 3],
    ['v1 (no ALPN)', 1],
  ] as const) {
    const { sessionId, tokenKey, log } = ntf[name]!;
    it(`${name}: requests and replies come out as they went in, requests with their signatures`, () => {
      const params = ntfSession(version, fromHex(sessionId)!);
      const key = ofAlgorithm(decodePrivateKey(fromHex(tokenKey)!), 'ed25519');
      for (const { dir, content } of log) {
        const received = only(params, fromHex(content)!);
        const { command, auth, corrId } = received;
        if (dir === 'server') {
          assert.deepEqual(encodeResponse(decodeResponse(command), version), command);
          continue;
        }
        assert.deepEqual(encodeCommand(decodeCommand(command)!), command);
        const covered = authorizedAsReceived(params, received);
        if (auth.length > 0)
          assert.deepEqual(authorize(crypto, key, { sessionServerKey: undefined, corrId }, covered), auth);
      }
      assert.ok(log.length >= 16);
    });
  }

  it('v3: the session key is signed by the key of the Ed448 certificate', () => {
    const { signedKeyDer, tlsLeafDer } = ntf.v3!;
    const { publicKey } = new X509Certificate(fromHex(tlsLeafDer)!);
    const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })).subarray(-57);
    assert.ok(openSignedKey(crypto, { algorithm: 'ed448', raw }, fromHex(signedKeyDer!)!));
  });
});
