/** The notifier's side of recorded service sessions: the same keys and ids make the same blocks, byte for byte. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServiceContents } from '../../../../../../services/subscriber/sources/smp/associations.js';
import { createConnect } from '../../../../../../services/subscriber/sources/smp/connector.js';
import { smpMetrics } from '../../../../../../services/subscriber/sources/smp/metrics.js';
import { QueueTable } from '../../../../../../services/subscriber/sources/smp/queues.js';
import { Session } from '../../../../../../services/subscriber/sources/smp/session.js';
import type { Answer } from '../../../../../../services/subscriber/sources/smp/statuses.js';
import type {
  Transport,
  TransportEvents,
} from '../../../../../../services/subscriber/sources/smp/transport.js';
import type { Crypto } from '../../../../../../shared/crypto/crypto.js';
import { toPem } from '../../../../../../shared/crypto/x509.js';
import { toHex } from '../../../../../../shared/encoding/bytes.js';
import { decodePrivateKey, ofAlgorithm } from '../../../../../../shared/encoding/keys.js';
import { VirtualClock } from '../../../../../../shared/run/clock.js';
import { native as crypto } from '../../../../../support/crypto.js';
import { countedMetrics } from '../../../../../support/metrics.js';
import { serviceIdentityFrom } from '../../../../../support/service-identity.js';
import { queuesOf, type Recording, recording, unbase64 } from '../../../../../support/smp-vectors.js';

const raw = (der: string): Uint8Array => decodePrivateKey(unbase64(der)).raw;
const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setImmediate(resolve));
};

/** The recorded client's keys and correlation ids, in the order in which it drew them. */
function recordedCrypto({ given, service, exchange }: Recording): Crypto {
  const x25519 = raw(given.clientSessionPrivateKey!);
  const corrIds = exchange
    .filter(({ direction }) => direction === 'client->server')
    .map(({ transmissions }) => unbase64(transmissions[0]!.corrId));
  const own = {
    x25519KeyPair: () => ({ privateKey: x25519.slice(), publicKey: crypto.x25519PublicKey(x25519) }),
    ed25519KeyPair: (seed?: Uint8Array) => crypto.ed25519KeyPair(seed ?? raw(service!.sessionPrivateKey)),
    randomBytes: (n: number) => (n === 24 ? corrIds.shift() : undefined) ?? crypto.randomBytes(n),
  };
  return new Proxy(crypto, {
    get(target, name) {
      if (name in own) return own[name as keyof typeof own];
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A session with the recorded server, which says what it said then. */
async function open(recorded: Recording) {
  const { given, handshake, service } = recorded;
  const own = recordedCrypto(recorded);
  const sent: Uint8Array[] = [];
  const incoming = [unbase64(handshake.serverHello), unbase64(handshake.serviceResponse!)];
  let events: TransportEvents | undefined;
  const transport: Transport = {
    sessionId: unbase64(given.tlsSessionId),
    chain: handshake.certificateChain!.map(unbase64),
    asksCertificate: true,
    listen(told) {
      events = told;
      const block = incoming.shift();
      if (block) setImmediate(() => told.block(block));
    },
    pause() {},
    send: (block) => sent.push(block) > 0,
    close() {},
  };
  const pem =
    service!.certificateChain.map((der) => toPem('CERTIFICATE', unbase64(der))).join('') +
    toPem('PRIVATE KEY', unbase64(service!.certificatePrivateKey));
  const clock = new VirtualClock(Date.parse('2026-11-22'));
  const identity = serviceIdentityFrom(pem);
  assert.equal(toHex(identity.certHash), toHex(unbase64(service!.certificateHash)));
  const connect = createConnect({ crypto: own, clock, dial: async () => transport, service: identity });
  const peer = { keyHash: unbase64(given.keyHash), port: 1, circuit: undefined, ordinaryUntilMs: 0 };
  const link = await connect(peer, 'host', new AbortController().signal);
  assert.deepEqual(sent.shift(), unbase64(handshake.clientHello));
  assert.deepEqual(link.service?.id, unbase64(service!.id));
  const queues = new QueueTable(crypto, 10);
  const rows = queuesOf(recorded).map(({ notifierId, notifierPrivateKey }) => {
    const key = ofAlgorithm(decodePrivateKey(unbase64(notifierPrivateKey)), 'ed25519');
    return queues.add({ server: 0, spelling: 0, ref: 0, notifierId: unbase64(notifierId), key })!;
  });
  const told: (Answer | ServiceContents | string | undefined)[] = [];
  const session = new Session(
    link,
    queues,
    { crypto: own, clock, metrics: countedMetrics(smpMetrics).handles },
    {
      answered: (_row, answer) => void told.push(answer),
      serviceAnswered: (contents) => void told.push(contents),
      serviceEnded: () => void told.push('ENDS'),
      notified: () => void told.push('NMSG'),
      ended: () => void told.push('END'),
      deleted: () => void told.push('DELD'),
      writable() {},
      closed: (cause) => void told.push(cause),
    },
  );
  await settle();
  const hear = (i: number): void => events!.block(unbase64(recorded.exchange[i]!.block));
  const assertSent = (i: number): void =>
    assert.deepEqual(sent.shift(), unbase64(recorded.exchange[i]!.block));
  return { session, rows, told, hear, assertSent, service: link.service! };
}

describe('recorded service sessions, from the notifier’s side', () => {
  test('smp-v18-service-association: two NSUBs with both signatures', async () => {
    const { session, rows, told, hear, assertSent, service } = await open(
      recording('smp-v18-service-association'),
    );
    for (const [i, row] of rows.entries()) {
      const next = [row];
      session.subscribe({ next: () => next[0], sent: () => void next.shift() });
      assertSent(2 * i);
      hear(2 * i + 1);
    }
    assert.deepEqual(told, [
      { kind: 'subscribed', serviceId: service.id },
      { kind: 'subscribed', serviceId: service.id },
    ]);
    // The recorded client then sent an NSUB of another form; its answer and ENDS stand for themselves.
    hear(5);
    hear(6);
    assert.equal(told[2], 'ENDS');
  });

  test('smp-v18-service-nsubs: count only', async () => {
    const { session, told, hear, assertSent } = await open(recording('smp-v18-service-nsubs'));
    session.subscribeService({ count: 2, idsHash: new Uint8Array(16) });
    assertSent(0);
    hear(1);
    hear(2);
    const { count, idsHash } = told[0] as ServiceContents;
    assert.deepEqual([count, idsHash, told[1]], [2, undefined, 'NMSG']);
  });

  test('smp-v20-service-nsubs: count and hash, and a wrong hash', async () => {
    const recorded = recording('smp-v20-service-nsubs');
    const { session, told, hear, assertSent } = await open(recorded);
    const idsHash = unbase64(recorded.idsHash!);
    session.subscribeService({ count: 3, idsHash });
    assertSent(0);
    hear(1);
    session.subscribeService({ count: 2, idsHash: new Uint8Array(16) });
    assertSent(2);
    hear(3);
    for (const contents of told as ServiceContents[]) {
      assert.deepEqual([contents.count, contents.idsHash], [3, idsHash]);
    }
    assert.equal(told.length, 2);
  });
});
