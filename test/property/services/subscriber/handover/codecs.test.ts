/** What crosses in a hand-over reads as it was written; other bytes throw `DecodeError` and nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readEvents } from '../../../../../services/subscriber/handover/events.js';
import {
  decodeChallenge,
  decodeHello,
  decodeReason,
  encodeChallenge,
  encodeFrame,
  encodeHello,
  encodeReason,
  FrameReader,
  REASONS,
  TYPES,
  type WireFrame,
} from '../../../../../services/subscriber/handover/frames.js';
import { readDevice, writeDevice } from '../../../../../services/subscriber/registry/device-state.js';
import {
  readRegistryKeys,
  readSubscription,
  writeRegistryKeys,
  writeSubscription,
} from '../../../../../services/subscriber/registry/subscription-state.js';
import {
  readQueueState,
  readServerState,
  readSpelling,
  writeQueueState,
  writeServerState,
  writeSpelling,
} from '../../../../../services/subscriber/sources/smp/source-state.js';
import { ERROR_WORDS } from '../../../../../services/subscriber/sources/smp/statuses.js';
import { readPager, TIMES, writePager } from '../../../../../services/subscriber/wake/pager-state.js';
import { PUSH_KINDS } from '../../../../../services/subscriber/wake/policy.js';
import { DecodeError, decodeAll, type Reader } from '../../../../../shared/encoding/reader.js';
import { Writer } from '../../../../../shared/encoding/writer.js';
import { FRAME_KINDS } from '../../../../../shared/relay/batch.js';

const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const time = fc.double({ noNaN: true });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const host = fc.constantFrom('smp.example', '127.0.0.1', 'a.onion');

const status = fc.oneof(
  record({ kind: fc.constantFrom('pending', 'active', 'inactive', 'end', 'deleted', 'auth', 'service') }),
  record({ kind: fc.constant('error'), word: fc.constantFrom(...ERROR_WORDS) }),
);
const key = fc.constantFrom(['ed25519', 32] as const, ['ed448', 57] as const, ['x25519', 32] as const);

const device = record({
  slot: u32,
  listener: fc.constantFrom('phones', 'a-1'),
  environment: fc.constantFrom('production', 'sandbox', 'test', 'none'),
  status: fc.constantFrom('registered', 'confirmed', 'active', 'invalid'),
  invalidReason: maybe(fc.constantFrom('bad', 'topic', 'expired', 'unregistered')),
  generation: u32,
  checkMinutes: u32,
  isProven: fc.boolean(),
  serversSince: time,
  newServers: u32,
  dueAt: time,
  tokenId: bytes(24),
  tokenHash: bytes(32),
  serverDhPublicKey: bytes(32),
  dhSecret: bytes(32),
  verifyKey: key.chain(([algorithm, size]) =>
    record({ algorithm: fc.constant(algorithm), raw: bytes(size) }),
  ),
  sealedToken: maybe(bytes(229)),
});
const subscription = record({
  ...{ row: u32, serial: u32, device: u32, queueHash: u32, holdsQueue: fc.boolean() },
  status,
});
const server = record({
  number: u16,
  unit: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 2 ** 31 + 5 })),
  port: u16,
  keyHash: bytes(32),
  hosts: fc.array(host, { maxLength: 8 }),
  proven: fc.array(host, { maxLength: 8 }),
  ordinaryUntilMs: time,
  associations: maybe(record({ serviceId: bytes(24), hasHash: fc.boolean(), checkedMs: time })),
});
const spelling = record({
  ...{ number: u16, server: u16 },
  address: record({
    hosts: fc.array(fc.constantFrom('smp.example', '127.0.0.1'), { minLength: 1, maxLength: 3 }),
    port: fc.constantFrom('', '5223'),
    keyHash: bytes(32),
  }),
});
const queue = fc
  .constantFrom(['ed25519', 64] as const, ['ed448', 57] as const, ['x25519', 32] as const)
  .chain(([algorithm, size]) =>
    record({
      ...{
        spelling: u16,
        notifierId: bytes(24),
        algorithm: fc.constant(algorithm),
        key: bytes(size),
        status,
      },
      ...{ isConfirmed: fc.boolean(), isMissed: fc.boolean(), isAssociated: fc.boolean() },
    }),
  );
const rates = record(Object.fromEntries(PUSH_KINDS.map((kind) => [kind, time])));
const entry = record({
  ...{
    ref: u32,
    server: u32,
    time: u32,
    toldAt: fc.constant(undefined),
    isInFlight: fc.boolean(),
    sequence: u32,
  },
  ...{ nonce: bytes(24), metadata: fc.uint8Array({ maxLength: 144 }) },
});
const frame = record({
  ...{ id: bytes(16), kind: fc.constantFrom(...FRAME_KINDS), urgent: fc.boolean() },
  slot: fc.integer({ min: 0, max: 255 }),
  ...{ expiry: u32, capability: bytes(256), nonce: bytes(24), payload: bytes(2928) },
});
const pushKind = fc.constantFrom(...PUSH_KINDS);
const pager = record({
  ...{ slot: u32, epoch: u16, generation: u32, wantsVerification: fc.boolean(), wantsAlert: fc.boolean() },
  ...{ wrongCodes: u32, checkMinutes: u32 },
  ...Object.fromEntries(TIMES.map((name) => [name, time])),
  allowance: record({
    ...{ budgets: rates, notBefore: rates },
    shares: fc.array(record({ server: u32, kind: pushKind, fullAt: time }), { maxLength: 16 }),
  }),
  mailbox: record({
    ...{ overflow: fc.boolean(), maybeMissed: fc.boolean(), sequence: u32 },
    ...{ sentContent: maybe(fc.constantFrom('', 'message true')), failedContent: maybe(fc.constant('x')) },
    entries: fc.array(entry, { maxLength: 14 }),
  }),
  secrets: maybe(record({ capability: bytes(256), codeHash: bytes(32) })),
  flight: maybe(
    record({
      ...{ kind: pushKind, generation: u32, overflow: fc.boolean(), maybeMissed: fc.boolean() },
      ...{ isCheck: fc.boolean(), servers: fc.array(u32, { maxLength: 14 }), frame: maybe(frame) },
    }),
  ),
});
const keys = record({ ids: bytes(32), queues: bytes(8), serial: u32 });

interface Codec {
  readonly value: fc.Arbitrary<unknown>;
  readonly write: (w: Writer, value: never) => void;
  readonly read: (r: Reader) => unknown;
}

const CODECS: Readonly<Record<string, Codec>> = {
  device: { value: device, write: writeDevice, read: readDevice },
  subscription: { value: subscription, write: writeSubscription, read: readSubscription },
  keys: { value: keys, write: writeRegistryKeys, read: readRegistryKeys },
  server: { value: server, write: writeServerState, read: readServerState },
  spelling: { value: spelling, write: writeSpelling, read: readSpelling },
  queue: { value: queue, write: writeQueueState, read: readQueueState },
  pager: { value: pager, write: writePager, read: readPager },
};

/** Runs what reads; only a `DecodeError` may come of it. */
function harmless(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error));
  }
}

describe('hand-over: codecs', () => {
  for (const [name, { value, write, read }] of Object.entries(CODECS)) {
    test(`${name}: reads as written, also changed bytes do no harm`, () => {
      fc.assert(
        fc.property(value, fc.nat(), fc.nat(255), (state, at, byte) => {
          const w = new Writer();
          write(w, state as never);
          const written = w.done();
          assert.deepEqual(decodeAll(written, read), state);
          written[at % written.length] = byte;
          harmless(() => decodeAll(written, read));
        }),
        { numRuns: 60 },
      );
    });
  }

  test('random bytes throw only DecodeError', () => {
    const sink = { status() {}, signal() {}, maybeMissed() {} };
    const readers = Object.values(CODECS).map(
      ({ read }) =>
        (b: Uint8Array) =>
          decodeAll(b, read),
    );
    const all = [
      ...readers,
      decodeHello,
      decodeChallenge,
      decodeReason,
      (b: Uint8Array) => readEvents(b, sink),
    ];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (random) => {
        for (const read of all) harmless(() => read(random.slice()));
        harmless(() => new FrameReader().push(random.slice()));
      }),
      { numRuns: 300 },
    );
  });

  test('frames come out whole, however the stream is cut', () => {
    const sent = fc.array(
      record({ type: fc.constantFrom(...TYPES), body: fc.uint8Array({ maxLength: 300 }) }),
      {
        maxLength: 8,
      },
    );
    fc.assert(
      fc.property(sent, fc.integer({ min: 1, max: 50 }), (frames, step) => {
        const reader = new FrameReader();
        const stream = Buffer.concat(frames.map(({ type, body }) => encodeFrame(type, body)));
        const got: WireFrame[] = [];
        for (let at = 0; at < stream.length; at += step) {
          got.push(...reader.push(Uint8Array.from(stream.subarray(at, at + step))));
        }
        assert.deepEqual(got, frames);
      }),
      { numRuns: 50 },
    );
  });

  test('greetings and reasons', () => {
    const hello = { min: 1, max: 2, nonce: new Uint8Array(32).fill(3) };
    assert.deepEqual(decodeHello(encodeHello(hello)), hello);
    const challenge = { format: 1, nonce: new Uint8Array(32), signature: new Uint8Array(64).fill(1) };
    assert.deepEqual(decodeChallenge(encodeChallenge(challenge)), challenge);
    for (const reason of REASONS) assert.equal(decodeReason(encodeReason(reason)), reason);
  });
});
