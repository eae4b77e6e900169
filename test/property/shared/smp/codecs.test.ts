/** Properties of every SMP codec: what is encoded comes back, and no bytes make a decoder do anything but refuse. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { AuthAlgorithm, Key } from '../../../../shared/encoding/keys.js';
import { DecodeError, decodeAll } from '../../../../shared/encoding/reader.js';
import { Writer } from '../../../../shared/encoding/writer.js';
import {
  formatQueue,
  parseQueue,
  readQueue,
  type SmpQueue,
  writeQueue,
} from '../../../../shared/smp/address.js';
import { BlockReader, plainBlocks } from '../../../../shared/smp/block.js';
import {
  type Command,
  decodeCommand,
  decodeServerMessage,
  encodeCommand,
  encodeServerMessage,
  type ServerMessage,
} from '../../../../shared/smp/commands.js';
import { SINCE } from '../../../../shared/smp/constants.js';
import {
  decodeError,
  decodeTransportError,
  type ErrorType,
  encodeError,
} from '../../../../shared/smp/errors.js';
import {
  decodeClientHello,
  decodeServerHello,
  decodeServiceResponse,
  decodeSignedKey,
  encodeClientHello,
  encodeServerHello,
  encodeServiceResponse,
} from '../../../../shared/smp/handshake.js';
import {
  decodeBatch,
  decodeBlock,
  decodeTransmission,
  encodeBatch,
  encodeTransmission,
  intoBatches,
  smpSession,
} from '../../../../shared/smp/transmission.js';

/** Records with a prototype, as decoders make them. */
const record = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;

const bytes = (maxLength = 255, minLength = 0) => fc.uint8Array({ minLength, maxLength });
const exactly = (n: number) => bytes(n, n);
const id = bytes(30);
const versions = fc.integer({ min: 6, max: 20 });

const authKeys: fc.Arbitrary<Key<AuthAlgorithm>> = fc.oneof(
  exactly(32).map((raw) => ({ algorithm: 'ed25519' as const, raw })),
  exactly(57).map((raw) => ({ algorithm: 'ed448' as const, raw })),
  exactly(32).map((raw) => ({ algorithm: 'x25519' as const, raw })),
);

/** A record without the fields whose value is undefined. */
const present = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
const option = <T>(arb: fc.Arbitrary<T>) => fc.option(arb, { nil: undefined });
const never = fc.constant(undefined);

const hashed = (v: number) => (v >= SINCE.serviceHash ? exactly(16) : never);
const mode = (v: number) =>
  v >= SINCE.queueMode
    ? option(fc.constantFrom('M', 'C'))
    : v >= SINCE.senderKey
      ? option(fc.constant('M'))
      : never;
const pair = record({ key: authKeys, dhKey: exactly(32) });

const errors: fc.Arbitrary<ErrorType> = fc.oneof(
  fc.constantFrom<ErrorType>(
    { kind: 'AUTH' },
    { kind: 'SERVICE' },
    { kind: 'BLOCK' },
    { kind: 'INTERNAL' },
    { kind: 'QUOTA' },
  ),
  fc.constantFrom('UNKNOWN', 'SYNTAX', 'PROHIBITED').map((reason) => ({ kind: 'CMD' as const, reason })),
  fc.string().map((text) => ({ kind: 'STORE' as const, text })),
);

const word = <W extends string>(name: W) => fc.constant(name);

function commands(v: number): fc.Arbitrary<Command> {
  const all = fc.oneof(
    record({ word: fc.constantFrom('NSUB', 'PING', 'SUB', 'NDEL', 'DEL') }),
    record({ word: word('NSUBS'), count: v >= SINCE.serviceHash ? fc.nat() : never, idsHash: hashed(v) }),
    record({
      word: word('NEW'),
      recipientKey: authKeys,
      dhKey: exactly(32),
      password: option(bytes()),
      subscribe: fc.constantFrom('S', 'C'),
      mode: mode(v),
      notifier: v >= SINCE.notifierInNew ? option(pair) : never,
    }),
    record({ word: fc.constantFrom('KEY', 'SKEY'), senderKey: authKeys }),
    record({ word: word('NKEY'), notifierKey: authKeys, dhKey: exactly(32) }),
    record({ word: word('SEND'), notify: fc.boolean(), body: bytes(500) }),
    record({ word: word('ACK'), messageId: id }),
  );
  return all.map((command) => present(command) as Command);
}

function messages(v: number): fc.Arbitrary<ServerMessage> {
  const all = fc.oneof(
    record({ word: fc.constantFrom('OK', 'PONG', 'END', 'DELD') }),
    record({ word: word('SOK'), serviceId: option(id) }),
    record({ word: fc.constantFrom('SOKS', 'ENDS'), count: fc.maxSafeInteger(), idsHash: hashed(v) }),
    record({ word: word('ERR'), error: errors }),
    record({ word: word('NMSG'), nonce: exactly(24), metadata: bytes() }),
    record({
      word: word('IDS'),
      recipientId: id,
      senderId: id,
      dhKey: exactly(32),
      mode: mode(v),
      linkId: v >= SINCE.queueMode ? option(id) : never,
      serviceId: v >= SINCE.services ? option(id) : never,
      notifier: v >= SINCE.notifierInNew ? option(record({ id, dhKey: exactly(32) })) : never,
    }),
    record({ word: word('NID'), notifierId: id, dhKey: exactly(32) }),
    record({ word: word('MSG'), messageId: id, body: bytes(500) }),
  );
  return all.map((message) => present(message) as ServerMessage);
}

const hosts = fc.oneof(fc.domain(), fc.ipV4(), fc.constantFrom('abc.onion', 'localhost', '::1', 'fe80::12'));
const queues: fc.Arbitrary<SmpQueue> = record({
  server: record({
    hosts: fc.array(hosts, { minLength: 1, maxLength: 4 }),
    port: fc.constantFrom('', '443', '5223', '00080'),
    keyHash: exactly(32),
  }),
  notifierId: bytes(24, 1),
});

const transmissions = record({
  auth: fc.constantFrom(0, 64, 80, 114).chain(exactly),
  corrId: bytes(24),
  entityId: bytes(24),
  command: bytes(300),
});

describe('round trips', () => {
  test('commands, at every version', () => {
    fc.assert(
      fc.property(
        versions.chain((v) => fc.tuple(fc.constant(v), commands(v))),
        ([v, command]) => {
          assert.deepEqual(decodeCommand(encodeCommand(command, v), v), command);
        },
      ),
    );
  });

  test('answers and events, at every version', () => {
    fc.assert(
      fc.property(
        versions.chain((v) => fc.tuple(fc.constant(v), messages(v))),
        ([v, message]) => {
          assert.deepEqual(decodeServerMessage(encodeServerMessage(message, v), v), message);
        },
      ),
    );
  });

  test('errors', () => {
    fc.assert(fc.property(errors, (error) => assert.deepEqual(decodeError(encodeError(error)), error)));
  });

  test('queue addresses, binary and as text', () => {
    fc.assert(
      fc.property(queues, (queue) => {
        assert.deepEqual(decodeAll(writeQueue(new Writer(), queue).done(), readQueue), queue);
        // A bare IPv6 literal swallows the port in the text form (guide A.5).
        if (!queue.server.hosts.at(-1)!.includes(':'))
          assert.deepEqual(parseQueue(formatQueue(queue)), queue);
      }),
    );
  });

  test('hellos', () => {
    const certified = record({
      chain: fc.array(bytes(400), { minLength: 1, maxLength: 4 }),
      signedKey: bytes(200),
    });
    const clients = versions.chain((version) =>
      record({
        version: fc.constant(version),
        keyHash: exactly(32),
        sessionKey: version >= SINCE.serverKey ? option(exactly(32)) : never,
        proxyServer: version >= SINCE.proxyFlag ? fc.boolean() : fc.constant(false),
        service:
          version >= SINCE.services
            ? option(fc.tuple(fc.constantFrom('M', 'N', 'P'), certified).map(([role, c]) => ({ role, ...c })))
            : never,
      }),
    );
    fc.assert(
      fc.property(clients, (hello) => {
        const given = present(hello) as Parameters<typeof encodeClientHello>[0];
        assert.deepEqual(decodeClientHello(encodeClientHello(given)), given);
      }),
    );
    fc.assert(
      fc.property(exactly(32), certified, fc.boolean(), (sessionId, serverKey, modern) => {
        const hello = modern
          ? { versions: { min: 6, max: 18 }, sessionId, serverKey }
          : { versions: { min: 6, max: 6 }, sessionId };
        assert.deepEqual(decodeServerHello(encodeServerHello(hello)), hello);
      }),
    );
  });

  test('transmissions and batches, at every version', () => {
    fc.assert(
      fc.property(versions, fc.array(transmissions, { minLength: 1, maxLength: 20 }), (v, list) => {
        const params = smpSession(v, new Uint8Array(32).fill(7));
        const items = list.map((t) => encodeTransmission(params, t));
        const received = decodeBlock(params, encodeBatch(params, items));
        received.forEach((r, i) => {
          const { corrId, entityId, command, auth } = r;
          assert.deepEqual({ auth, corrId, entityId, command }, list[i]);
        });
      }),
    );
  });

  test('batches fill blocks in order and never overfill one', () => {
    const params = smpSession(18, new Uint8Array(32));
    fc.assert(
      fc.property(fc.array(bytes(490, 1), { minLength: 1, maxLength: 400 }), (items) => {
        const groups = intoBatches(params, items, 512);
        assert.deepEqual(groups.flat(), items);
        for (const group of groups) assert.ok(encodeBatch(params, group).length <= 512 - 18);
      }),
      { numRuns: 30 },
    );
  });

  test('blocks come out of a stream whatever its pieces are', () => {
    const codec = plainBlocks(64);
    fc.assert(
      fc.property(fc.array(bytes(62), { maxLength: 8 }), fc.array(fc.nat(100)), (contents, cuts) => {
        const stream = Buffer.concat(contents.map((content) => codec.seal(content)));
        const reader = new BlockReader(64);
        const blocks: Uint8Array[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          blocks.push(...reader.push(stream.subarray(at, at + cut)));
          at += cut;
        }
        assert.deepEqual(
          blocks.map((block) => codec.open(block)),
          contents,
        );
      }),
    );
  });
});

describe('hostile bytes make decoders refuse, nothing else', () => {
  const params18 = smpSession(18, new Uint8Array(32));
  const params6 = smpSession(6, new Uint8Array(32));
  const valid: Record<string, [decode: (b: Uint8Array) => unknown, samples: fc.Arbitrary<Uint8Array>]> = {
    decodeCommand: [
      (b) => [6, 9, 15, 18, 20].map((v) => decodeCommand(b, v)),
      commands(18).map((c) => encodeCommand(c, 18)),
    ],
    decodeServerMessage: [
      (b) => [6, 9, 15, 18, 20].map((v) => decodeServerMessage(b, v)),
      messages(18).map((m) => encodeServerMessage(m, 18)),
    ],
    decodeError: [decodeError, errors.map((e) => encodeError(e))],
    decodeTransportError: [decodeTransportError, errors.map((e) => encodeError(e))],
    decodeBlock: [
      (b) => [decodeBlock(params18, b), decodeBlock(params6, b)],
      transmissions.map((t) => encodeBatch(params18, [encodeTransmission(params18, t)])),
    ],
    decodeTransmission: [
      (b) => decodeTransmission(params6, b),
      transmissions.map((t) => encodeTransmission(params6, t)),
    ],
    decodeBatch: [(b) => decodeBatch(params18, b), fc.constant(Uint8Array.of(1, 0, 1, 0))],
    readQueue: [(b) => decodeAll(b, readQueue), queues.map((q) => writeQueue(new Writer(), q).done())],
    parseQueue: [
      (b) => parseQueue(Buffer.from(b).toString('latin1')),
      queues.map((q) => Buffer.from(formatQueue(q))),
    ],
    decodeServerHello: [
      decodeServerHello,
      exactly(32).map((sessionId) =>
        encodeServerHello({
          versions: { min: 6, max: 18 },
          sessionId,
          serverKey: { chain: [sessionId], signedKey: sessionId },
        }),
      ),
    ],
    decodeClientHello: [
      decodeClientHello,
      exactly(32).map((keyHash) => encodeClientHello({ version: 18, keyHash, sessionKey: keyHash })),
    ],
    decodeServiceResponse: [
      decodeServiceResponse,
      id.map((serviceId) => encodeServiceResponse({ serviceId })),
    ],
    decodeSignedKey: [decodeSignedKey, exactly(122)],
    unpad: [plainBlocks(64).open, exactly(64)],
  };

  const refuses = (decode: (b: Uint8Array) => unknown, input: Uint8Array): void => {
    try {
      decode(input);
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error));
    }
  };

  for (const [name, [decode, samples]] of Object.entries(valid)) {
    test(name, () => {
      fc.assert(fc.property(bytes(300), (input) => refuses(decode, input)));
      const mutated = fc
        .tuple(samples, fc.nat(), fc.nat(255), fc.boolean())
        .map(([sample, at, value, cut]) => {
          const copy = Uint8Array.from(sample);
          if (cut) return copy.subarray(0, at % (copy.length + 1));
          if (copy.length > 0) copy[at % copy.length] = value;
          return copy;
        });
      fc.assert(
        fc.property(mutated, (input) => refuses(decode, input)),
        { numRuns: 200 },
      );
    });
  }
});
