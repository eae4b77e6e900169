import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createConnect,
  HandshakeError,
  type Link,
} from '../../../../../../services/subscriber/sources/smp/connector.js';
import { IdentityError } from '../../../../../../services/subscriber/sources/smp/identity.js';
import type {
  Transport,
  TransportEvents,
} from '../../../../../../services/subscriber/sources/smp/transport.js';
import { createIdentity } from '../../../../../../shared/crypto/x509.js';
import { decodePrivateKey, type Key } from '../../../../../../shared/encoding/keys.js';
import { VirtualClock } from '../../../../../../shared/run/clock.js';
import { BlockCipher, plainBlocks } from '../../../../../../shared/smp/block.js';
import {
  encodeServerHello,
  type SmpServerHello,
  signSessionKey,
} from '../../../../../../shared/smp/handshake.js';
import { native as crypto } from '../../../../../support/crypto.js';

const identity = createIdentity({ algorithm: 'ed25519', commonName: 'a', now: new Date('2026-01-01') });
const stranger = createIdentity({ algorithm: 'ed25519', commonName: 'b', now: new Date('2026-01-01') });
const SESSION_ID = new Uint8Array(32).fill(3);
const CHAIN = [identity.leafCert, identity.caCert];
const pair = crypto.x25519KeyPair();

const signed = (by = identity, key = pair.publicKey): Uint8Array =>
  signSessionKey(crypto, decodePrivateKey(by.leafKey) as Key<'ed25519'>, key);

const hello = (changes: Partial<SmpServerHello> = {}): SmpServerHello => ({
  versions: { min: 6, max: 18 },
  sessionId: SESSION_ID,
  serverKey: { chain: CHAIN, signedKey: signed() },
  ...changes,
});

/** Connects to a peer that shows `chain` in TLS and says this. */
async function connect(
  says: SmpServerHello | Uint8Array,
  chain: readonly Uint8Array[] = CHAIN,
): Promise<{ link: Link; sent: Uint8Array[] }> {
  const sent: Uint8Array[] = [];
  const block = says instanceof Uint8Array ? says : plainBlocks().seal(encodeServerHello(says));
  let closed = false;
  const transport: Transport = {
    sessionId: SESSION_ID,
    chain,
    asksCertificate: false,
    listen: (events: TransportEvents) => void setImmediate(() => events.block(block)),
    pause() {},
    send: (out) => sent.push(out) > 0,
    close() {
      closed = true;
    },
  };
  const connector = createConnect({ crypto, clock: new VirtualClock(), dial: async () => transport });
  try {
    const peer = { keyHash: identity.fingerprint, port: 1, circuit: undefined, ordinaryUntilMs: 0 };
    return { link: await connector(peer, 'host', new AbortController().signal), sent };
  } catch (error) {
    assert.ok(closed, 'the transport is closed');
    assert.deepEqual(sent, [], 'nothing was sent to a peer that proved nothing');
    throw error;
  }
}

describe('handshake', () => {
  const LENGTHS = [
    [6, 35],
    [7, 80],
    [13, 80],
    [14, 81],
    [15, 81],
    [16, 82],
    [18, 82],
    [20, 82],
  ] as const;
  for (const [max, length] of LENGTHS) {
    test(`version ${max}: a client hello of ${length} bytes`, async () => {
      const versions = { min: 6, max };
      const says: SmpServerHello = max < 7 ? { versions, sessionId: SESSION_ID } : hello({ versions });
      const { link, sent } = await connect(says);
      const content = plainBlocks().open(sent[0]!);
      assert.equal(content.length, length);
      assert.equal(link.version, max);
      assert.equal(link.serverKey !== undefined, max >= 7);
      assert.equal(link.blocks instanceof BlockCipher, max >= 11);
    });
  }

  test('speaks its own highest version to a newer server', async () => {
    assert.equal((await connect(hello({ versions: { min: 6, max: 30 } }))).link.version, 20);
  });

  const refused: [string, SmpServerHello | Uint8Array, (readonly Uint8Array[])?][] = [
    ['another session id', hello({ sessionId: new Uint8Array(32) })],
    ['no version in common', hello({ versions: { min: 21, max: 30 } })],
    ['a chain whose leaf TLS did not see', hello(), [stranger.leafCert, identity.caCert]],
    ['no certificate in TLS', hello(), []],
    ['a session key signed by another', hello({ serverKey: { chain: CHAIN, signedKey: signed(stranger) } })],
    [
      'a useless session key',
      hello({ serverKey: { chain: CHAIN, signedKey: signed(identity, new Uint8Array(32)) } }),
    ],
    ['garbage as session key', hello({ serverKey: { chain: CHAIN, signedKey: new Uint8Array(9) } })],
    ['garbage', new Uint8Array(16_384).fill(0xff)],
    ['an empty hello', new Uint8Array(16_384)],
  ];
  for (const [name, says, chain] of refused) {
    test(`refuses ${name}`, async () => {
      await assert.rejects(connect(says, chain), HandshakeError);
    });
  }

  test('refuses another identity, in the hello and, at version 6, in TLS', async () => {
    const other = [stranger.leafCert, stranger.caCert];
    const serverKey = { chain: other, signedKey: signed(stranger) };
    await assert.rejects(connect(hello({ serverKey }), other), IdentityError);
    const old: SmpServerHello = { versions: { min: 6, max: 6 }, sessionId: SESSION_ID };
    await assert.rejects(connect(old, other), IdentityError);
  });
});
