/** Every recorded exchange with a real SMP server, in both roles: what the client sent is made anew byte for byte. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { cbDecrypt } from '../../../../shared/crypto/box.js';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { latin1, sameBytes } from '../../../../shared/encoding/bytes.js';
import {
  type AuthAlgorithm,
  decodePrivateKey,
  decodePublicKey,
  type Key,
  ofAlgorithm,
} from '../../../../shared/encoding/keys.js';
import {
  authorize,
  authorizedInService,
  type ServiceAuth,
  signAsService,
  verifyAuth,
  verifyServiceSignature,
} from '../../../../shared/smp/auth.js';
import { BlockCipher, type BlockCodec, BlockReader, plainBlocks } from '../../../../shared/smp/block.js';
import {
  decodeCommand,
  decodeServerMessage,
  encodeCommand,
  encodeServerMessage,
} from '../../../../shared/smp/commands.js';
import {
  decodeClientHello,
  decodeServerHello,
  decodeServiceResponse,
  encodeClientHello,
  encodeServerHello,
  encodeServiceResponse,
  openSignedKey,
  signSessionKey,
} from '../../../../shared/smp/handshake.js';
import { openMeta } from '../../../../shared/smp/message-body.js';
import { RequestBlock } from '../../../../shared/smp/request-block.js';
import {
  authorized,
  authorizedAsReceived,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  problemOf,
  type Received,
  type SessionParams,
  smpSession,
} from '../../../../shared/smp/transmission.js';
import {
  queuesOf,
  RECORDINGS,
  type RecordedTransmission,
  type Recording,
  recording,
  unbase64,
} from '../../../support/smp-vectors.js';

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const rawPublic = (text: string): Uint8Array => decodePublicKey(unbase64(text)).raw;
const rawPrivate = (text: string): Uint8Array => decodePrivateKey(unbase64(text)).raw;
const open = (block: string): Uint8Array => plainBlocks().open(unbase64(block));

/** Everything that both ends know after the handshake of a recording. */
interface Ends {
  readonly version: number;
  readonly params: SessionParams;
  readonly serverKey: Uint8Array | undefined;
  readonly service: ServiceAuth | undefined;
  codec(role: 'client' | 'server'): BlockCodec;
}

function endsOf({ given, handshake, derived, service }: Recording): Ends {
  const version = handshake.agreedVersion;
  const sessionId = unbase64(given.tlsSessionId);
  const serverKey = handshake.serverSessionPublicKey;
  const cipher = (role: 'client' | 'server') =>
    new BlockCipher(crypto, role, sessionId, unbase64(derived.sharedSecret!));
  return {
    version,
    params: smpSession(version, sessionId),
    serverKey: serverKey === undefined ? undefined : rawPublic(serverKey),
    service: service && {
      certHash: unbase64(service.certificateHash),
      sessionKey: rawPrivate(service.sessionPrivateKey),
    },
    codec: (role) => (derived.blockEncryption ? cipher(role) : plainBlocks()),
  };
}

/** The recorded transmission as this code splits it. */
function assertSplit(received: Received, recorded: RecordedTransmission): void {
  const { auth, serviceSig, sessionId, corrId, entityId, command } = received;
  const bytes = {
    auth,
    corrId,
    entityId,
    command,
    ...(serviceSig && { serviceSig }),
    ...(sessionId && { sessionId }),
  };
  const texts = Object.entries(bytes).map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
  assert.deepEqual(Object.fromEntries(texts), recorded);
}

const notifierKey = (recorded: Recording, entityId: Uint8Array): Key<AuthAlgorithm> | undefined => {
  const queue = queuesOf(recorded).find((q) => sameBytes(unbase64(q.notifierId), entityId));
  return queue && ofAlgorithm(decodePrivateKey(unbase64(queue.notifierPrivateKey)), 'ed25519', 'x25519');
};

for (const name of RECORDINGS) {
  describe(name, () => {
    const recorded = recording(name);
    const { given, handshake, derived } = recorded;

    test('server hello: decoded, proven and made anew', () => {
      const content = open(handshake.serverHello);
      const hello = decodeServerHello(content);
      assert.deepEqual([hello.versions.min, hello.versions.max], handshake.serverRange);
      assert.deepEqual(hello.sessionId, unbase64(given.tlsSessionId));
      assert.deepEqual(
        hello.serverKey?.chain.map((der) => Buffer.from(der).toString('base64')),
        handshake.certificateChain,
      );
      assert.deepEqual(encodeServerHello(hello), content);
      if (!hello.serverKey) return;
      const leaf = ofAlgorithm(decodePublicKey(unbase64(given.tlsLeafPublicKey)), 'ed25519');
      const key = openSignedKey(crypto, leaf, hello.serverKey.signedKey);
      assert.deepEqual(key, rawPublic(handshake.serverSessionPublicKey!));
      const stranger = { ...leaf, raw: leaf.raw.slice().fill(1, 0, 1) };
      assert.equal(openSignedKey(crypto, stranger, hello.serverKey.signedKey), undefined);
    });

    test('client hello: made from the keys byte for byte', () => {
      const { service } = recorded;
      const decoded = decodeClientHello(open(handshake.clientHello));
      const sessionKey =
        given.clientSessionPrivateKey && decoded.sessionKey
          ? crypto.x25519PublicKey(rawPrivate(given.clientSessionPrivateKey))
          : undefined;
      const certified = service && {
        role: 'N' as const,
        chain: service.certificateChain.map(unbase64),
        signedKey: signSessionKey(
          crypto,
          ofAlgorithm(decodePrivateKey(unbase64(service.certificatePrivateKey)), 'ed25519'),
          crypto.ed25519KeyPair(rawPrivate(service.sessionPrivateKey)).publicKey,
          'ed25519',
        ),
      };
      const hello = {
        version: handshake.agreedVersion,
        keyHash: unbase64(given.keyHash),
        ...(sessionKey && { sessionKey }),
        proxyServer: false,
        ...(certified && { service: certified }),
      };
      assert.deepEqual(plainBlocks().seal(encodeClientHello(hello)), unbase64(handshake.clientHello));
      assert.deepEqual(decoded, hello);
      assert.equal(
        decoded.sessionKey !== undefined && handshake.agreedVersion >= 11,
        derived.blockEncryption,
      );
    });

    if (recorded.service) {
      test('service response', () => {
        const content = open(handshake.serviceResponse!);
        const response = { serviceId: unbase64(recorded.service!.id) };
        assert.deepEqual(decodeServiceResponse(content), response);
        assert.deepEqual(encodeServiceResponse(response), content);
      });
    }

    if (derived.sharedSecret !== undefined) {
      test('shared secret', () => {
        const secret = crypto.x25519(
          rawPrivate(given.clientSessionPrivateKey!),
          rawPublic(handshake.serverSessionPublicKey!),
        );
        assert.deepEqual(secret, unbase64(derived.sharedSecret!));
      });
    }

    test('the client: its blocks made byte for byte, answers read', () => {
      const ends = endsOf(recorded);
      const codec = ends.codec('client');
      for (const { direction, block, content, transmissions } of recorded.exchange) {
        if (direction === 'server->client') {
          assert.deepEqual(codec.open(unbase64(block)), unbase64(content));
          decodeBlock(ends.params, unbase64(content)).forEach((received, i) => {
            assertSplit(received, transmissions[i]!);
            assertMessage(received.command, ends.version);
          });
          continue;
        }
        const items = transmissions.map((t) => remake(recorded, ends, t));
        assert.deepEqual(encodeBatch(ends.params, items), unbase64(content));
        assert.deepEqual(codec.seal(encodeBatch(ends.params, items)), unbase64(block));
      }
    });

    test('the same blocks, written in place', () => {
      const ends = endsOf(recorded);
      const codec = ends.codec('client');
      const writer = new RequestBlock(crypto, { ...ends.params, sessionServerKey: ends.serverKey });
      for (const { direction, block, content, transmissions } of recorded.exchange) {
        if (direction === 'server->client') continue;
        if (transmissions.includes(wrongKey(recorded)!)) {
          assert.deepEqual(codec.seal(unbase64(content)), unbase64(block));
          continue;
        }
        for (const t of transmissions) {
          const entityId = unbase64(t.entityId);
          const key = keyFor(recorded, ends, t);
          const service = t.serviceSig === undefined ? undefined : ends.service;
          assert.ok(
            writer.add({
              corrId: unbase64(t.corrId),
              entityId,
              command: unbase64(t.command),
              ...(key && { key }),
              ...(service && { service }),
            }),
          );
        }
        assert.deepEqual(writer.seal(codec), unbase64(block));
      }
    });

    test('the server: fed byte by byte, commands read and authorisations checked', () => {
      const ends = endsOf(recorded);
      const codec = ends.codec('server');
      const reader = new BlockReader();
      for (const { direction, block, content, transmissions } of recorded.exchange) {
        const bytes = unbase64(block);
        if (direction === 'server->client') {
          assert.deepEqual(codec.seal(unbase64(content)), bytes);
          continue;
        }
        const blocks: Uint8Array[] = [];
        for (let i = 0; i < bytes.length; i++) blocks.push(...reader.push(bytes.subarray(i, i + 1)));
        assert.equal(blocks.length, 1);
        const received = decodeBlock(ends.params, codec.open(blocks[0]!));
        assert.equal(received.length, transmissions.length);
        received.forEach((r, i) => {
          assertSplit(r, transmissions[i]!);
          assert.equal(problemOf(ends.params, r), undefined);
          assertCommand(r.command, ends.version);
          if (r.auth.length > 0)
            assert.equal(isAuthorized(recorded, ends, r), transmissions[i] !== wrongKey(recorded));
        });
      }
    });
  });
}

/** Commands and answers come out of the codec as they went in, but for the old NSUBS in a new session. */
function assertCommand(bytes: Uint8Array, version: number): void {
  if (version >= 19 && latin1(bytes) === 'NSUBS') assert.throws(() => decodeCommand(bytes, version));
  else assert.deepEqual(encodeCommand(decodeCommand(bytes, version)!, version), bytes);
}

const assertMessage = (bytes: Uint8Array, version: number): void =>
  assert.deepEqual(encodeServerMessage(decodeServerMessage(bytes, version)!, version), bytes);

/** The one NSUB of a recording that was made with a wrong key on purpose: the one that got `ERR AUTH`. */
function wrongKey({ exchange }: Recording): RecordedTransmission | undefined {
  const refusal = exchange
    .flatMap((e) => e.transmissions)
    .find((t) => latin1(unbase64(t.command)) === 'ERR AUTH');
  return exchange
    .filter((e) => e.direction === 'client->server')
    .flatMap((e) => e.transmissions)
    .find((t) => t.corrId === refusal?.corrId);
}

function keyFor(recorded: Recording, ends: Ends, t: RecordedTransmission): Key<AuthAlgorithm> | undefined {
  if (t.auth === '') return undefined;
  if (t === wrongKey(recorded)) return undefined;
  if (latin1(unbase64(t.command)).startsWith('NSUBS'))
    return { algorithm: 'ed25519', raw: ends.service!.sessionKey };
  return notifierKey(recorded, unbase64(t.entityId));
}

/** The transmission as this code authorises and encodes it. */
function remake(recorded: Recording, ends: Ends, t: RecordedTransmission): Uint8Array {
  const [corrId, entityId, command] = [t.corrId, t.entityId, t.command].map(unbase64) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const key = keyFor(recorded, ends, t);
  const base = { auth: unbase64(t.auth), corrId, entityId, command };
  if (key === undefined) return encodeTransmission(ends.params, base);
  const covered = authorized(ends.params, base);
  const session = { sessionServerKey: ends.serverKey, corrId };
  if (t.serviceSig === undefined) {
    return encodeTransmission(ends.params, { ...base, auth: authorize(crypto, key, session, covered) });
  }
  const auth = authorize(crypto, key, session, authorizedInService(ends.service!, covered));
  return encodeTransmission(ends.params, {
    ...base,
    auth,
    serviceSig: signAsService(crypto, ends.service!, covered),
  });
}

/** The server's view: public keys only. Authenticators need a private key that no recording has: remade above. */
function isAuthorized(recorded: Recording, ends: Ends, received: Received): boolean {
  const covered = authorizedAsReceived(ends.params, received);
  const session = { sessionPrivateKey: undefined, corrId: received.corrId };
  const key = latin1(received.command).startsWith('NSUBS')
    ? { algorithm: 'ed25519' as const, raw: ends.service!.sessionKey }
    : notifierKey(recorded, received.entityId);
  if (key?.algorithm === 'x25519') return true;
  const publicKey = key && { ...key, raw: crypto.ed25519KeyPair(key.raw).publicKey };
  if (!received.serviceSig) return verifyAuth(crypto, publicKey, session, covered, received.auth);
  const sessionKey = crypto.ed25519KeyPair(ends.service!.sessionKey).publicKey;
  const service = { ...ends.service!, sessionKey };
  assert.ok(verifyServiceSignature(crypto, service, covered, received.serviceSig));
  return verifyAuth(crypto, publicKey, session, authorizedInService(service, covered), received.auth);
}

test('notification metadata opens', () => {
  let opened = 0;
  for (const recorded of RECORDINGS.map(recording)) {
    for (const { nonce, encryptedMeta, msgId, timestamp } of recorded.nmsg ?? []) {
      const secret = unbase64(recorded.queue!.recipientNotifierDhSecret);
      const meta = openMeta(crypto, secret, unbase64(nonce), unbase64(encryptedMeta));
      assert.deepEqual(meta, { messageId: unbase64(msgId), timestamp });
      assert.ok(cbDecrypt(crypto, secret, unbase64(nonce), unbase64(encryptedMeta)));
      opened++;
    }
  }
  assert.ok(opened >= 7);
});

test('count and hash of associated queues', () => {
  const { idsHash, exchange } = recording('smp-v20-service-nsubs');
  const soks = encodeServerMessage({ word: 'SOKS', count: 3, idsHash: unbase64(idsHash!) }, 20);
  assert.deepEqual(soks, unbase64(exchange[1]!.transmissions[0]!.command));
});
