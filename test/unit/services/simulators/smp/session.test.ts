/** The stand-in's sessions without sockets: against recorded exchanges with a real server, and rule by rule. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Broker } from '../../../../../services/simulators/smp/broker.js';
import { newCounters } from '../../../../../services/simulators/smp/counters.js';
import { FaultScript } from '../../../../../services/simulators/smp/faults.js';
import { SMP_LIMITS, SMP_TIMING } from '../../../../../services/simulators/smp/options.js';
import type { ServiceSession } from '../../../../../services/simulators/smp/services.js';
import { SmpSession } from '../../../../../services/simulators/smp/session.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { publicKeyOf } from '../../../../../shared/crypto/signatures.js';
import { concat, latin1, utf8 } from '../../../../../shared/encoding/bytes.js';
import {
  type AuthAlgorithm,
  decodePrivateKey,
  decodePublicKey,
  type Key,
  ofAlgorithm,
} from '../../../../../shared/encoding/keys.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { authorize } from '../../../../../shared/smp/auth.js';
import { BlockCipher, type BlockCodec, plainBlocks } from '../../../../../shared/smp/block.js';
import {
  type Command,
  decodeServerMessage,
  encodeCommand,
  type ServerMessage,
} from '../../../../../shared/smp/commands.js';
import { openBody, sealMeta } from '../../../../../shared/smp/message-body.js';
import {
  authorized,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  type SessionParams,
  smpSession,
  type Transmission,
} from '../../../../../shared/smp/transmission.js';
import { native as crypto } from '../../../../support/crypto.js';
import {
  queuesOf,
  RECORDINGS,
  type Recording,
  recording,
  unbase64,
} from '../../../../support/smp-vectors.js';

const NONE = new Uint8Array(0);
const SESSION_ID = new Uint8Array(32).fill(7);
const START_MS = 1_800_000_000_000;

function makeBroker(own: Crypto = crypto, startMs = START_MS) {
  const clock = new VirtualClock(startMs);
  const faults = new FaultScript(clock, 10);
  const counters = newCounters();
  const broker = new Broker({ crypto: own, clock, timing: SMP_TIMING, limits: SMP_LIMITS, faults, counters });
  return { clock, faults, counters, broker };
}

interface Options {
  readonly version?: number;
  readonly codec?: BlockCodec;
  readonly crypto?: Crypto;
  readonly sessionId?: Uint8Array;
  readonly service?: ServiceSession | undefined;
  readonly shared?: ReturnType<typeof makeBroker>;
}

function makeSession(options: Options = {}) {
  const { version = 18, codec = plainBlocks(), sessionId = SESSION_ID, crypto: own = crypto } = options;
  const { service } = options;
  const shared = options.shared ?? makeBroker(own);
  const sent: Uint8Array[] = [];
  const params = smpSession(version, sessionId);
  const session = new SmpSession({
    crypto: own,
    version,
    params,
    codec,
    privateKey: new Uint8Array(32).fill(9),
    service,
    broker: shared.broker,
    faults: shared.faults,
    counters: shared.counters,
    send: (block) => void sent.push(block),
    full: () => false,
  });
  return { ...shared, session, params, sent };
}

type Made = ReturnType<typeof makeSession>;

/** Contents of the blocks that were sent since the last call, as lists of transmissions. */
const answers = ({
  sent,
  params,
}: Made): { corrId: string; entityId: Uint8Array; text: string; message: ServerMessage }[][] =>
  sent.splice(0).map((block) =>
    decodeBlock(params, plainBlocks().open(block)).map(({ corrId, entityId, command }) => ({
      corrId: latin1(corrId),
      entityId,
      text: latin1(command),
      message: decodeServerMessage(command, 18)!,
    })),
  );

const texts = (made: Made): string[][] =>
  answers(made).map((block) => block.map(({ corrId, text }) => `${corrId}:${text}`));

/** Gives the broker a queue whose notifier has this public key. */
function addQueue(
  { store }: Broker,
  id: Uint8Array,
  key: Key<AuthAlgorithm>,
  secret: Uint8Array = new Uint8Array(32),
  serviceId?: Uint8Array,
): void {
  store.add({
    recipientId: id,
    senderId: concat(id, Uint8Array.of(1)),
    recipientKey: key,
    secret,
    mode: 'M',
    senderKey: undefined,
    notifier: { id, key, secret, serviceId, pending: [] },
    messages: [],
    full: false,
  });
}

describe('recorded exchanges: the stand-in answers a real client’s blocks as a real server did', () => {
  for (const name of RECORDINGS) {
    test(name, async () => {
      const recorded = recording(name);
      const own = cryptoFor(recorded);
      const version = recorded.handshake.agreedVersion;
      const sessionId = unbase64(recorded.given.tlsSessionId);
      const codec = recorded.derived.blockEncryption
        ? new BlockCipher(crypto, 'server', sessionId, unbase64(recorded.derived.sharedSecret!))
        : plainBlocks();
      const service = serviceOf(recorded);
      const made = makeSession({ version, codec, crypto: own, sessionId, service });
      const before = name.endsWith('nsubs') ? service?.id : undefined;
      for (const { notifierId, notifierPrivateKey, recipientNotifierDhSecret } of queuesOf(recorded)) {
        const key = ofAlgorithm(decodePrivateKey(unbase64(notifierPrivateKey)), 'ed25519', 'x25519');
        addQueue(
          made.broker,
          unbase64(notifierId),
          publicOf(key),
          unbase64(recipientNotifierDhSecret),
          before,
        );
      }
      for (const { direction, block, transmissions } of recorded.exchange) {
        if (direction === 'client->server') made.session.receive(unbase64(block));
        else {
          if (latin1(unbase64(transmissions[0]!.command)).startsWith('ENDS')) await takeOver(made, service!);
          else if (transmissions.every(({ corrId }) => corrId === ''))
            made.session.tell(transmissions.map((t) => eventOf(t, version)));
          assert.deepEqual(made.sent.shift(), unbase64(block));
        }
      }
      assert.equal(made.sent.length, 0);
    });
  }

  test('metadata of a notification is what a real server makes of it', () => {
    const { queue, nmsg } = recording('smp-v18-encrypted-blocks');
    const { nonce, encryptedMeta, msgId, timestamp } = nmsg![0]!;
    const secret = unbase64(queue!.recipientNotifierDhSecret);
    const sealed = sealMeta(crypto, secret, unbase64(nonce), { messageId: unbase64(msgId), timestamp });
    assert.deepEqual(sealed, unbase64(encryptedMeta));
  });
});

/** The client of a recording as a service that the server knows already. */
function serviceOf({ service }: Recording): ServiceSession | undefined {
  if (!service) return undefined;
  const seed = decodePrivateKey(unbase64(service.sessionPrivateKey)).raw;
  const sessionKey = crypto.ed25519KeyPair(seed).publicKey;
  return { id: unbase64(service.id), auth: { certHash: unbase64(service.certificateHash), sessionKey } };
}

/** Another connection subscribes as the same service; the first one hears so with the timer. */
async function takeOver({ broker, faults, counters, clock }: Made, service: ServiceSession): Promise<void> {
  broker.start();
  const pair = crypto.ed25519KeyPair();
  const other = makeSession({
    service: { ...service, auth: { ...service.auth, sessionKey: pair.publicKey } },
    shared: { broker, faults, counters, clock },
  });
  const command = encodeCommand({ word: 'NSUBS' }, 18);
  const corrId = new Uint8Array(24).fill(1);
  const t = { corrId, entityId: service.id, command };
  const auth = crypto.ed25519Sign(pair.privateKey, authorized(other.params, t));
  other.session.receive(
    plainBlocks().seal(encodeBatch(other.params, [encodeTransmission(other.params, { auth, ...t })])),
  );
  assert.match(texts(other)[0]![0]!, /:SOKS /);
  await clock.advance(SMP_TIMING.endMs);
  broker.stop();
}

/** Events of a recording were caused by others: they are told to the session as they were. */
const eventOf = (t: { entityId: string; command: string }, version: number) => ({
  entityId: unbase64(t.entityId),
  message: decodeServerMessage(unbase64(t.command), version)!,
});

/** The recorded server's private key is not known, its secret with the notifier's key is: the same from both sides. */
function cryptoFor({ handshake, queue }: Recording): Crypto {
  const key = queue && decodePrivateKey(unbase64(queue.notifierPrivateKey));
  if (key?.algorithm !== 'x25519') return crypto;
  const secret = crypto.x25519(key.raw, decodePublicKey(unbase64(handshake.serverSessionPublicKey!)).raw);
  return { ...boundTo(crypto), x25519: () => Uint8Array.from(secret) };
}

function boundTo(target: Crypto): Crypto {
  const names = new Set<string>();
  for (let at: object = target; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  }
  const entries = [...names].map(
    (name) => [name, (target as unknown as Record<string, unknown>)[name]] as const,
  );
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'function' ? value.bind(target) : value]),
  ) as unknown as Crypto;
}

const publicOf = ({ algorithm, raw }: Key<AuthAlgorithm>): Key<AuthAlgorithm> =>
  algorithm === 'x25519'
    ? { algorithm, raw: crypto.x25519PublicKey(raw) }
    : publicKeyOf(crypto, { algorithm, raw });

const OWNER: Key<AuthAlgorithm> = { algorithm: 'ed25519', raw: new Uint8Array(32).fill(3) };
const QUEUE_ID = new Uint8Array(24).fill(5);
const SENDER_ID = concat(QUEUE_ID, Uint8Array.of(1));

/** A transmission as a client makes it, signed where a key is given. */
function item(
  params: SessionParams,
  corrId: string,
  command: Command | string,
  options: { entityId?: Uint8Array; key?: Key<AuthAlgorithm>; auth?: Uint8Array } = {},
): Uint8Array {
  const { entityId = NONE, key } = options;
  const bytes = typeof command === 'string' ? utf8(command) : encodeCommand(command, 18);
  const t: Transmission = { auth: options.auth ?? NONE, corrId: utf8(corrId), entityId, command: bytes };
  if (!key) return encodeTransmission(params, t);
  const session = { sessionServerKey: undefined, corrId: t.corrId };
  return encodeTransmission(params, { ...t, auth: authorize(crypto, key, session, authorized(params, t)) });
}

function receive(made: Made, ...items: Uint8Array[]): void {
  made.session.receive(plainBlocks().seal(encodeBatch(made.params, items)));
}

describe('blocks and transmissions that are wrong (guide E.4)', () => {
  const blocks: Record<string, Uint8Array> = {
    'a count of none': Uint8Array.of(0),
    'bytes behind the last item': Uint8Array.of(1, 0, 1, 0, 0),
    'an item longer than the block': Uint8Array.of(1, 0xff, 0xff),
    'an item that is no transmission': Uint8Array.of(1, 0, 2, 9, 9),
    'nothing at all': NONE,
  };
  for (const [what, content] of Object.entries(blocks)) {
    test(what, () => {
      const made = makeSession();
      made.session.receive(plainBlocks().seal(content));
      assert.deepEqual(texts(made), [[':ERR BLOCK']]);
    });
  }

  test('padding longer than the block', () => {
    const made = makeSession();
    made.session.receive(new Uint8Array(16_384).fill(0xff));
    assert.deepEqual(texts(made), [[':ERR BLOCK']]);
  });

  const cases: [string, Parameters<typeof item>[2], Parameters<typeof item>[3], string][] = [
    [
      'a signature of no known length',
      { word: 'NSUB' },
      { entityId: QUEUE_ID, auth: new Uint8Array(65) },
      'ERR BLOCK',
    ],
    ['an unknown word', 'NOPE', {}, 'ERR CMD UNKNOWN'],
    ['an answer as a command', 'OK', {}, 'ERR CMD UNKNOWN'],
    ['parameters of a command that has none', 'PING x', {}, 'ERR CMD SYNTAX'],
    ['a command without its parameters', 'NKEY', { entityId: QUEUE_ID, key: OWNER }, 'ERR CMD SYNTAX'],
    ['SEND without a flag', 'SEND hello', { entityId: SENDER_ID }, 'ERR CMD SYNTAX'],
    ['a signed PING', { word: 'PING' }, { key: OWNER }, 'ERR CMD HAS_AUTH'],
    ['an NSUB without a signature', { word: 'NSUB' }, { entityId: QUEUE_ID }, 'ERR CMD NO_AUTH'],
    ['an NSUB without an id', { word: 'NSUB' }, { key: OWNER }, 'ERR CMD NO_AUTH'],
    ['a SEND without an id', 'SEND T x', {}, 'ERR CMD NO_ENTITY'],
    ['NSUBS without a service', { word: 'NSUBS' }, { entityId: QUEUE_ID, key: OWNER }, 'ERR SERVICE'],
    [
      'a signed SEND to a queue that is not secured',
      'SEND T x',
      { entityId: SENDER_ID, key: OWNER },
      'ERR AUTH',
    ],
    ['an id that nobody has', { word: 'NSUB' }, { entityId: SENDER_ID, key: OWNER }, 'ERR AUTH'],
    [
      'a key of another kind',
      { word: 'NSUB' },
      { entityId: QUEUE_ID, key: { algorithm: 'ed448', raw: new Uint8Array(57) } },
      'ERR AUTH',
    ],
    [
      'a signature by someone else',
      { word: 'SUB' },
      { entityId: QUEUE_ID, key: { ...OWNER, raw: SESSION_ID } },
      'ERR AUTH',
    ],
  ];
  for (const [what, command, options, expected] of cases) {
    test(what, () => {
      const made = makeSession();
      addQueue(made.broker, QUEUE_ID, publicOf(OWNER));
      receive(made, item(made.params, 'c', command, options));
      assert.deepEqual(texts(made), [[`c:${expected}`]]);
    });
  }

  test('SKEY for a queue that only its owner may secure', () => {
    const made = makeSession();
    addQueue(made.broker, QUEUE_ID, publicOf(OWNER));
    const { store } = made.broker;
    store.add({ ...store.byRecipient(QUEUE_ID)!, mode: 'C' });
    const command: Command = { word: 'SKEY', senderKey: publicOf(OWNER) };
    receive(made, item(made.params, 'c', command, { entityId: SENDER_ID, key: OWNER }));
    assert.deepEqual(texts(made), [['c:ERR AUTH']]);
  });

  test('a foreign session id in version 6', () => {
    const made = makeSession({ version: 6 });
    receive(made, item({ ...made.params, sessionId: new Uint8Array(32) }, 'c', { word: 'PING' }));
    assert.deepEqual(texts(made), [['c:ERR SESSION']]);
  });

  test('the block after a forged one works', () => {
    const secret = new Uint8Array(32).fill(1);
    const client = new BlockCipher(crypto, 'client', SESSION_ID, secret);
    const made = makeSession({ codec: new BlockCipher(crypto, 'server', SESSION_ID, secret) });
    const [forged, good] = [1, 2].map(() =>
      client.seal(encodeBatch(made.params, [item(made.params, 'c', { word: 'PING' })])),
    );
    forged![100]! ^= 1;
    made.session.receive(forged!);
    made.session.receive(good!);
    const contents = made.sent.map((block) => latin1(client.open(block)));
    assert.match(contents[0]!, /ERR BLOCK$/);
    assert.match(contents[1]!, /PONG$/);
  });
});

describe('order (guide E.3)', () => {
  test('134 NSUBs with 27 bad keys: 27 refusals in a block, then 107 answers, each in the order of the requests', () => {
    const made = makeSession();
    const items = Array.from({ length: 134 }, (_, i) => {
      const id = new Uint8Array(24).fill(i);
      addQueue(made.broker, id, publicOf(OWNER));
      const key = i % 5 === 4 || i === 0 ? { ...OWNER, raw: SESSION_ID } : OWNER;
      return item(made.params, String.fromCharCode(i + 1), { word: 'NSUB' }, { entityId: id, key });
    });
    receive(made, ...items);
    const blocks = answers(made);
    assert.deepEqual(
      blocks.map((block) => [block.length, block[0]!.text]),
      [
        [27, 'ERR AUTH'],
        [107, 'SOK 0'],
      ],
    );
    for (const block of blocks) {
      const order = block.map(({ corrId }) => corrId.charCodeAt(0));
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      );
    }
  });

  test('the last command of a block is run first', () => {
    const made = makeSession();
    addQueue(made.broker, QUEUE_ID, publicOf(OWNER));
    const sends = ['A', 'B', 'C'].map((body) =>
      item(made.params, body, `SEND F ${body}`, { entityId: SENDER_ID }),
    );
    receive(made, ...sends);
    assert.deepEqual(texts(made), [['A:OK', 'B:OK', 'C:OK']]);
    const stored = made.broker.store
      .byRecipient(QUEUE_ID)!
      .messages.map(({ content }) => latin1(content!.body));
    assert.deepEqual(stored, ['C', 'B', 'A']);
  });

  test('a message that SUB leads to follows its answer', () => {
    const made = makeSession();
    addQueue(made.broker, QUEUE_ID, publicOf(OWNER));
    receive(made, item(made.params, 'a', 'SEND T hello', { entityId: SENDER_ID }));
    receive(made, item(made.params, 'b', { word: 'SUB' }, { entityId: QUEUE_ID, key: OWNER }));
    const [, answered, told] = answers(made);
    const [answer, event] = [answered![0], told![0]];
    assert.equal(answer!.text, 'SOK 0');
    assert.ok(event!.message.word === 'MSG' && event!.corrId === '');
    const opened = openBody(crypto, new Uint8Array(32), event!.message.messageId, event!.message.body);
    assert.ok(opened.kind === 'message');
    assert.equal(latin1(opened.body), 'hello');
  });
});

test('an answer that fits no block is not sent, as by real servers', () => {
  const made = makeSession({ version: 6 });
  addQueue(made.broker, QUEUE_ID, publicOf(OWNER));
  receive(
    made,
    item(made.params, 'a', 'SEND T x', { entityId: SENDER_ID }),
    item(made.params, 'b', 'SEND T y', { entityId: SENDER_ID }),
  );
  made.sent.length = 0;
  const { messages } = made.broker.store.byRecipient(QUEUE_ID)!;
  const ack: Command = { word: 'ACK', messageId: messages[0]!.id };
  receive(made, item(made.params, 'c'.repeat(255), ack, { entityId: QUEUE_ID, key: OWNER }));
  assert.equal(made.sent.length, 0);
});

test('keys that make no secret', () => {
  const made = makeSession();
  addQueue(made.broker, QUEUE_ID, publicOf(OWNER));
  const command: Command = { word: 'NKEY', notifierKey: publicOf(OWNER), dhKey: new Uint8Array(32) };
  receive(made, item(made.params, 'c', command, { entityId: QUEUE_ID, key: OWNER }));
  assert.deepEqual(texts(made), [['c:ERR CRYPTO']]);
});

test('one verification costs about the same whoever asks: an unknown id is checked against a key of nobody', () => {
  let verified = 0;
  const counting: Crypto = {
    ...boundTo(crypto),
    ed25519Verify: (...args) => {
      verified++;
      return crypto.ed25519Verify(...args);
    },
  };
  const made = makeSession({ crypto: counting });
  receive(made, item(made.params, 'c', { word: 'NSUB' }, { entityId: QUEUE_ID, key: OWNER }));
  assert.deepEqual(texts(made), [['c:ERR AUTH']]);
  assert.equal(verified, 1);
});
