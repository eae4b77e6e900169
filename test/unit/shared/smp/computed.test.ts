/** Vectors computed from the formulas by other means (guide, Appendix 3), and the second recording (hex). */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { cbEncryptNoPad } from '../../../../shared/crypto/box.js';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { publicKeyOf } from '../../../../shared/crypto/signatures.js';
import { fromHex, sameBytes, toHex, utf8 } from '../../../../shared/encoding/bytes.js';
import {
  type AuthAlgorithm,
  decodePrivateKey,
  decodePublicKey,
  type Key,
  ofAlgorithm,
} from '../../../../shared/encoding/keys.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { authorize, verifyAuth } from '../../../../shared/smp/auth.js';
import { BlockCipher, type BlockCodec } from '../../../../shared/smp/block.js';
import {
  type Command,
  decodeCommand,
  decodeServerMessage,
  encodeCommand,
  encodeServerMessage,
} from '../../../../shared/smp/commands.js';
import {
  decodeClientHello,
  decodeServerHello,
  decodeServiceResponse,
  decodeSignedKey,
  encodeClientHello,
  encodeServiceResponse,
  openSignedKey,
} from '../../../../shared/smp/handshake.js';
import { openBody, openMeta, sealBody, sealMeta } from '../../../../shared/smp/message-body.js';
import {
  authorized,
  authorizedAsReceived,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  type Received,
  smpSession,
} from '../../../../shared/smp/transmission.js';
import { vector } from '../../../support/paths.js';

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const hex = (text: string): Uint8Array => fromHex(text.replaceAll(/\s/g, ''))!;
const run = (from: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i);

const A = run(0x01, 32);
const B_PUBLIC = hex('5714769d116bf76436ae74bc793d2c30ad1903c59ac5273805c7e2698b410c36');
const B_PRIVATE = run(0x65, 32);
const SHARED = hex('c9ea6a3f79a000b60b076d4afc990b272f3f0b5aaa3f0b8713c209273e363863');
const SESSION_ID = run(0xc8, 32);
const CORR_ID = run(0x32, 24);
const ENTITY_ID = run(0x50, 24);
const NONCE = run(0x07, 24);

describe('computed vectors (Appendix 3)', () => {
  test('boxes', () => {
    assert.deepEqual(crypto.x25519(A, B_PUBLIC), SHARED);
    assert.equal(
      toHex(cbEncryptNoPad(crypto, SHARED, NONCE, utf8('hello'))),
      '4c72ab167350d9971135f2b50e1944fbd46e6a24f0',
    );
  });

  test('first encrypted block of a client', () => {
    const cipher = new BlockCipher(crypto, 'client', SESSION_ID, SHARED);
    const block = cipher.seal(hex('01 0007 00 00 00 50494e47'));
    assert.equal(block.length, 16_384);
    assert.equal(
      toHex(block.subarray(0, 32)),
      'c9a97e425c4a2be63e4428cfa65f29ad5ecc52782cd35584559f843806ee2ebc',
    );
    assert.equal(
      toHex(crypto.sha256(block)),
      'cc1410ef6707bfbca8e8bfeb119fb633ce648446f936dab671aacd3a4a3e7943',
    );
  });

  test('authorisation of an NSUB by signature and by authenticator', () => {
    const params = smpSession(18, SESSION_ID);
    const command = { corrId: CORR_ID, entityId: ENTITY_ID, command: utf8('NSUB') };
    const covered = authorized(params, command);
    assert.equal(covered.length, 87);
    const session = { sessionServerKey: B_PUBLIC, corrId: CORR_ID };
    const signature = authorize(crypto, { algorithm: 'ed25519', raw: A }, session, covered);
    assert.deepEqual(
      signature,
      hex(`97383a6455ee2ad5ad66259a2c8f86c48455ca5fe8fb460c5edf71708eead8d1
           5cc7431f97d20ece3d2f4b211b7ee4715773e5dc012f35d93dbc5fe1d8102f00`),
    );
    const authenticator = authorize(crypto, { algorithm: 'x25519', raw: A }, session, covered);
    assert.deepEqual(
      authenticator,
      hex(`58a34859653bd8980987bf6778fc4b5364a2f79ffd0718ce6d76bc4de99847e90aaee3a3b0793e7630c419147c9385a9
           77208887d5bab59baa49ba09bd43b74627b143ff3e4007a7c0f399625a77f5b4`),
    );
    const item = encodeTransmission(params, { auth: signature, ...command });
    assert.equal(item.length, 120);
    assert.deepEqual(encodeBatch(params, [item]).subarray(0, 3), hex('010078'));

    const publicKey = { algorithm: 'x25519' as const, raw: crypto.x25519PublicKey(A) };
    const atServer = { sessionPrivateKey: B_PRIVATE, corrId: CORR_ID };
    assert.ok(verifyAuth(crypto, publicKey, atServer, covered, authenticator));
    assert.ok(!verifyAuth(crypto, publicKey, { ...atServer, corrId: NONCE }, covered, authenticator));
    assert.ok(!verifyAuth(crypto, publicKey, atServer, covered.subarray(1), authenticator));
  });

  test('a shorter correlation id is filled with zeros as a nonce, a longer one is cut (guide K.1 #22)', () => {
    const key = { algorithm: 'x25519' as const, raw: A };
    for (const corrId of [run(1, 4), run(1, 30)]) {
      const nonce = new Uint8Array(24);
      nonce.set(corrId.subarray(0, 24));
      const auth = authorize(crypto, key, { sessionServerKey: B_PUBLIC, corrId }, CORR_ID);
      assert.deepEqual(auth, cbEncryptNoPad(crypto, SHARED, nonce, crypto.sha512(CORR_ID)));
      const publicKey = { ...key, raw: crypto.x25519PublicKey(A) };
      assert.ok(verifyAuth(crypto, publicKey, { sessionPrivateKey: B_PRIVATE, corrId }, CORR_ID, auth));
    }
  });

  test('the keys of nobody authorise nothing, not even for who knows them', () => {
    const session = { sessionPrivateKey: B_PRIVATE, corrId: CORR_ID };
    for (const algorithm of ['ed25519', 'ed448', 'x25519'] as const) {
      const raw = algorithm === 'ed448' ? run(1, 57) : A;
      const auth = authorize(
        crypto,
        { algorithm, raw },
        { sessionServerKey: B_PUBLIC, corrId: CORR_ID },
        NONCE,
      );
      assert.equal(verifyAuth(crypto, undefined, session, NONCE, auth), false);
    }
  });

  test('bodies of messages are all of one length, opened by their id', () => {
    for (const [version, size] of [
      [6, 16_122],
      [8, 16_098],
      [11, 16_082],
    ] as const) {
      const message = {
        kind: 'message',
        timestamp: 1_700_000_000,
        notify: true,
        body: utf8('hello'),
      } as const;
      const box = sealBody(crypto, SHARED, NONCE, message, version);
      assert.equal(box.length, size);
      assert.deepEqual(openBody(crypto, SHARED, NONCE, box), message);
      const quota = { kind: 'quota', timestamp: 1 } as const;
      assert.deepEqual(
        openBody(crypto, SHARED, NONCE, sealBody(crypto, SHARED, NONCE, quota, version)),
        quota,
      );
    }
    assert.throws(() => openBody(crypto, SHARED, CORR_ID, new Uint8Array(100)), DecodeError);
  });

  test('metadata of a notification', () => {
    const meta = { messageId: run(0x21, 24), timestamp: 1_700_000_000 };
    const box = sealMeta(crypto, SHARED, NONCE, meta);
    assert.equal(box.length, 144);
    assert.equal(toHex(box.subarray(0, 24)), '99875734f8da7ed4115dd7310208081cbc2a1e69bd408124');
    assert.deepEqual(openMeta(crypto, SHARED, NONCE, box), meta);
  });
});

interface Entry {
  readonly dir: 'client' | 'server';
  readonly content: string;
}

interface SecondRecording {
  readonly smpHello: Readonly<
    Record<'content' | 'tlsLeafDer' | 'signedKeyDer' | 'signed46' | 'signature' | 'serverSessionKey', string>
  >;
  readonly smpBlocks: {
    readonly clientSessionKey: string;
    readonly clientHelloContent: string;
    readonly sharedSecret: string;
    readonly blocks: readonly { readonly dir: string; readonly content: string; readonly blockB64: string }[];
  };
  readonly smpPing: Readonly<Record<string, { readonly sessionId: string; readonly log: readonly Entry[] }>>;
  readonly nsub: readonly {
    readonly v: number;
    readonly kt: AuthAlgorithm;
    readonly notifierKey: string;
    readonly sessionId: string;
    readonly serverSessionKey: string | null;
    readonly log: readonly Entry[];
  }[];
  readonly nmsg: { readonly dhSecret: string; readonly content: string; readonly meta: string };
  readonly deld: string;
  readonly service: { readonly sessionId: string; readonly message3: string; readonly log: readonly Entry[] };
  readonly queue: Readonly<Record<'rcvAuthKey' | 'ntfAuthKey' | 'sessionId', string>> & {
    readonly v: number;
    readonly log: readonly Entry[];
  };
}

describe('second recording', () => {
  const recorded = vector<SecondRecording>('more/smp-ntf-recorded');

  test('server hello: the 46 signed bytes and the signature', () => {
    const { smpHello } = recorded;
    const hello = decodeServerHello(hex(smpHello.content));
    assert.equal(toHex(hello.serverKey!.signedKey), smpHello.signedKeyDer);
    const { signed, signature } = decodeSignedKey(hello.serverKey!.signedKey);
    assert.deepEqual([toHex(signed), toHex(signature)], [smpHello.signed46, smpHello.signature]);
    const spki = hex('302a300506032b6570032100');
    const der = hex(smpHello.tlsLeafDer);
    const at = der.findIndex((_, i) => sameBytes(der.subarray(i, i + spki.length), spki));
    const leaf = ofAlgorithm(decodePublicKey(der.subarray(at, at + 44)), 'ed25519');
    assert.deepEqual(
      openSignedKey(crypto, leaf, hex(smpHello.signedKeyDer)),
      decodePublicKey(hex(smpHello.serverSessionKey)).raw,
    );
  });

  test('client hello and shared secret', () => {
    const { clientSessionKey, clientHelloContent, sharedSecret } = recorded.smpBlocks;
    const { raw } = decodePrivateKey(hex(clientSessionKey));
    const content = hex(clientHelloContent);
    const hello = decodeClientHello(content);
    assert.equal(hello.version, 18);
    assert.deepEqual(hello.sessionKey, crypto.x25519PublicKey(raw));
    assert.deepEqual(encodeClientHello(hello), content);
    const serverKey = decodePublicKey(hex(recorded.smpHello.serverSessionKey)).raw;
    assert.equal(toHex(crypto.x25519(raw, serverKey)), sharedSecret);
  });

  test('third message of a service', () => {
    const content = hex(recorded.service.message3);
    const response = decodeServiceResponse(content);
    assert.ok('serviceId' in response && response.serviceId.length === 24);
    assert.deepEqual(encodeServiceResponse(response), content);
  });

  test('encrypted blocks in both directions', () => {
    const { sharedSecret, blocks } = recorded.smpBlocks;
    const sessionId = decodeServerHello(hex(recorded.smpHello.content)).sessionId;
    const end = (role: 'client' | 'server'): BlockCodec =>
      new BlockCipher(crypto, role, sessionId, hex(sharedSecret));
    const ends: Record<string, BlockCodec> = { client: end('client'), server: end('server') };
    for (const { dir, content, blockB64 } of blocks) {
      const block = new Uint8Array(Buffer.from(blockB64, 'base64'));
      assert.deepEqual(ends[dir]!.seal(hex(content)), block);
      assert.equal(toHex(ends[dir === 'client' ? 'server' : 'client']!.open(block)), content);
    }
  });

  for (const [v, { sessionId, log }] of Object.entries(recorded.smpPing)) {
    test(`PING at ${v}`, () => assertLog(log, Number(v.slice(1)), hex(sessionId)));
  }

  for (const { v, kt, notifierKey, sessionId, serverSessionKey, log } of recorded.nsub) {
    test(`NSUB at version ${v} with ${kt}`, () => {
      const params = smpSession(v, hex(sessionId));
      assertLog(log, v, params.sessionId);
      const [received] = decodeBlock(params, hex(log[0]!.content)) as [Received];
      const key = ofAlgorithm(decodePrivateKey(hex(notifierKey)), 'ed25519', 'ed448', 'x25519');
      const sessionServerKey = serverSessionKey ? decodePublicKey(hex(serverSessionKey)).raw : undefined;
      const covered = authorizedAsReceived(params, received);
      assert.deepEqual(covered, authorized(params, received));
      assert.deepEqual(
        authorize(crypto, key, { sessionServerKey, corrId: received.corrId }, covered),
        received.auth,
      );
      if (key.algorithm === 'x25519') return;
      const session = { sessionPrivateKey: undefined, corrId: received.corrId };
      const publicKey = publicKeyOf(crypto, { ...key, algorithm: key.algorithm }) as Key<AuthAlgorithm>;
      assert.ok(verifyAuth(crypto, publicKey, session, covered, received.auth));
      assert.ok(!verifyAuth(crypto, undefined, session, covered, received.auth));
      assert.ok(!verifyAuth(crypto, publicKey, session, covered.subarray(1), received.auth));
    });
  }

  test('life of a queue, a notification, a deletion, a service', () => {
    const { queue, nmsg, deld, service } = recorded;
    assertLog(queue.log, queue.v, hex(queue.sessionId));
    assertLog(service.log, 18, hex(service.sessionId));
    assertLog(
      [
        { dir: 'server', content: nmsg.content },
        { dir: 'server', content: deld },
      ],
      18,
      hex(queue.sessionId),
    );
    const created = decodeBlock(smpSession(18, hex(queue.sessionId)), hex(queue.log[0]!.content))[0]!;
    const command = decodeCommand(created.command, 18) as Command & { word: 'NEW' };
    const owner = ofAlgorithm(decodePrivateKey(hex(queue.rcvAuthKey)), 'ed25519');
    const notifier = ofAlgorithm(decodePrivateKey(hex(queue.ntfAuthKey)), 'ed25519');
    assert.deepEqual(command.recipientKey, publicKeyOf(crypto, owner));
    assert.deepEqual(command.notifier?.key, publicKeyOf(crypto, notifier));
  });

  test('metadata of its notification', () => {
    const received = decodeBlock(smpSession(18, SESSION_ID), hex(recorded.nmsg.content))[0]!;
    const message = decodeServerMessage(received.command, 18);
    assert.ok(message?.word === 'NMSG');
    const meta = openMeta(crypto, hex(recorded.nmsg.dhSecret), message.nonce, message.metadata);
    const plain = hex(recorded.nmsg.meta);
    assert.deepEqual(meta.messageId, plain.subarray(1, 25));
    assert.equal(meta.timestamp, Number(Buffer.from(plain.subarray(25)).readBigInt64BE()));
  });
});

/** Every content decodes and comes out of the encoder as it was. */
function assertLog(log: readonly Entry[], version: number, sessionId: Uint8Array): void {
  const params = smpSession(version, sessionId);
  for (const { dir, content } of log) {
    const received = decodeBlock(params, hex(content));
    for (const { command } of received) {
      const again =
        dir === 'client'
          ? encodeCommand(decodeCommand(command, version)!, version)
          : encodeServerMessage(decodeServerMessage(command, version)!, version);
      assert.deepEqual(again, command);
    }
    assert.equal(
      toHex(
        encodeBatch(
          params,
          received.map((r) => encodeTransmission(params, r)),
        ),
      ),
      content,
    );
  }
}
