/** The SDK against recorded sessions with a real notification server: the same bytes out, the same plaintext in. */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { describe, test } from 'node:test';
import { pad, unpad } from '../../../../shared/crypto/box.js';
import { fromBase64url } from '../../../../shared/encoding/base64url.js';
import { type Bytes, fromHex, sameBytes } from '../../../../shared/encoding/bytes.js';
import { decodePrivateKey } from '../../../../shared/encoding/keys.js';
import { decodeCommand, type NtfCommand } from '../../../../shared/ntf/commands.js';
import { NTF_BLOCK_SIZE } from '../../../../shared/ntf/constants.js';
import { ntfSession } from '../../../../shared/ntf/handshake.js';
import { decodeResponse } from '../../../../shared/ntf/responses.js';
import { VirtualClock } from '../../../../shared/run/clock.js';
import { naclCrypto } from '../../../../shared/sdk/nacl.js';
import { NtfSession } from '../../../../shared/sdk/ntf-client.js';
import { openMetadata, openPush } from '../../../../shared/sdk/open.js';
import type { ByteTransport } from '../../../../shared/sdk/transport.js';
import {
  authorizedAsReceived,
  decodeTransmission,
  encodeBatch,
  encodeTransmission,
} from '../../../../shared/smp/transmission.js';
import { vector } from '../../../support/paths.js';

interface Step {
  readonly about: string;
  readonly request: Record<'corrId' | 'entityId' | 'command' | 'transmission', string>;
  readonly response: Record<'corrId' | 'entityId' | 'command', string>;
}

interface Recording {
  readonly given: { keyHash: string; tlsSessionId: string; tlsLeafPublicKey: string };
  readonly handshake: { serverHello: string; clientHello: string; agreedVersion: number };
  readonly token: Record<
    'authPrivateKey' | 'authPublicKey' | 'dhSecret' | 'registrationCode' | 'replacementCode',
    string
  >;
  readonly subscription: { recipientNotifierDhSecret: string; notifierId: string };
  readonly pushes: readonly { kind: string; body: { notificationData: object }; plaintext?: string }[];
  readonly steps: readonly Step[];
}

const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

/** Plays the server's side of a recording; keeps what the client sent. */
function replay(recording: Recording, steps: readonly Step[]) {
  const sessionId = bytes(recording.given.tlsSessionId);
  const params = ntfSession(recording.handshake.agreedVersion, sessionId);
  const leaf = createPublicKey({
    key: Buffer.from(recording.given.tlsLeafPublicKey, 'base64'),
    format: 'der',
    type: 'spki',
  });
  const sent: Uint8Array[] = [];
  let listener: (data: Bytes) => void = () => {};
  const answers = steps.map(({ response }) => {
    const parts = {
      corrId: bytes(response.corrId),
      entityId: bytes(response.entityId),
      command: bytes(response.command),
    };
    return pad(
      encodeBatch(params, [encodeTransmission(params, { auth: new Uint8Array(0), ...parts })]),
      NTF_BLOCK_SIZE,
    );
  });
  const transport: ByteTransport = {
    sessionId,
    verify: (algorithm, message, signature) =>
      leaf.asymmetricKeyType === algorithm && verify(null, message, leaf, signature),
    onData: (next) => {
      listener = next;
      queueMicrotask(() => listener(bytes(recording.handshake.serverHello)));
    },
    onClose: () => {},
    send: (block) => {
      sent.push(block);
      const answer = sent.length > 1 ? answers.shift() : undefined;
      if (answer) queueMicrotask(() => listener(answer));
    },
    close: () => {},
  };
  return { transport, sent, params };
}

/** Steps whose request is well formed and signed by the token's own key, or is a PING. */
function ownSteps(recording: Recording): Step[] {
  const params = ntfSession(recording.handshake.agreedVersion, bytes(recording.given.tlsSessionId));
  const publicKey = bytes(recording.token.authPublicKey).subarray(-32);
  return recording.steps.filter(({ request }) => {
    const received = decodeTransmission(params, bytes(request.transmission));
    try {
      if (decodeCommand(received.command)?.word === 'PING') return true;
    } catch {
      return false;
    }
    const { auth } = received;
    return (
      decodeCommand(received.command) !== undefined &&
      naclCrypto.ed25519Verify(publicKey, authorizedAsReceived(params, received), auth)
    );
  });
}

for (const name of ['ntf-v3', 'ntf-v2', 'ntf-v1-no-alpn']) {
  describe(`recorded session ${name}`, () => {
    const recording = vector<Recording>(`ntf/${name}`);
    const steps = ownSteps(recording);
    const seed = decodePrivateKey(bytes(recording.token.authPrivateKey)).raw;
    const key = naclCrypto.ed25519KeyPair(seed).privateKey;

    test('every request comes out byte for byte, every answer is understood', async () => {
      assert.ok(steps.length >= 15);
      const { transport, sent, params } = replay(recording, steps);
      const corrIds = steps.map(({ request }) => bytes(request.corrId));
      const crypto = { ...naclCrypto, randomBytes: () => corrIds.shift()! };
      const { agreedVersion } = recording.handshake;
      const session = await NtfSession.open(transport, {
        crypto,
        clock: new VirtualClock(),
        keyHash: bytes(recording.given.keyHash),
        versions: { min: 1, max: agreedVersion },
      });
      assert.deepEqual(sent[0], bytes(recording.handshake.clientHello));
      for (const { request, response, about } of steps) {
        const command = decodeCommand(bytes(request.command)) as NtfCommand;
        const entityId = bytes(request.entityId);
        const [answer] = await session.request([
          { command, entityId, ...(command.word !== 'PING' && { key }) },
        ]);
        assert.deepEqual(answer, decodeResponse(bytes(response.command)), about);
        const expected = encodeBatch(params, [bytes(request.transmission)]);
        assert.deepEqual(unpad(sent.at(-1)!), expected, about);
      }
    });

    test('pushes open to the recorded codes and plaintext', () => {
      const secret = bytes(recording.token.dhSecret);
      const codes = [recording.token.registrationCode, recording.token.replacementCode].map(bytes);
      for (const { body, plaintext } of recording.pushes) {
        for (const payload of [body, JSON.stringify(body)]) {
          const opened = openPush(naclCrypto, secret, payload);
          if (plaintext === undefined) {
            assert.ok(opened.kind === 'verification' && codes.some((code) => sameBytes(code, opened.code)));
            continue;
          }
          assert.ok(opened.kind === 'messages');
          assert.equal(opened.items.length, plaintext.split(';').length);
          assert.deepEqual(opened.items[0]!.queue.notifierId, bytes(recording.subscription.notifierId));
          const meta = openMetadata(
            naclCrypto,
            bytes(recording.subscription.recipientNotifierDhSecret),
            opened.items[0]!,
          );
          assert.equal(meta?.messageId.length, 24);
        }
      }
    });
  });
}

interface SecondRecording {
  readonly ntf: Record<
    string,
    {
      dhSecret: string;
      verificationPush: { body: string; code: string };
      messagePush: { body: string; plaintext: string };
    }
  >;
}

test('pushes of the second recording open as well', () => {
  for (const { dhSecret, verificationPush, messagePush } of Object.values(
    vector<SecondRecording>('more/smp-ntf-recorded').ntf,
  )) {
    const secret = fromHex(dhSecret)!;
    const verification = openPush(naclCrypto, secret, verificationPush.body);
    assert.deepEqual(verification, { kind: 'verification', code: fromHex(verificationPush.code) });
    const opened = openPush(naclCrypto, secret, messagePush.body);
    assert.ok(opened.kind === 'messages');
    const [, time, nonce] = messagePush.plaintext.split(' ');
    assert.equal(opened.items[0]!.time, Number(time));
    assert.deepEqual(opened.items[0]!.nonce, fromBase64url(nonce!));
  }
});
