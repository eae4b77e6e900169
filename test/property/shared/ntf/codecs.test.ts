import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { concat, utf8 } from '../../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../../shared/encoding/keys.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { decodeCommand, encodeCommand, type NtfCommand } from '../../../../shared/ntf/commands.js';
import { PROVIDERS } from '../../../../shared/ntf/constants.js';
import { decodeClientHello, decodeServerHello } from '../../../../shared/ntf/handshake.js';
import { decodeItems, encodeItems, type PayloadItem } from '../../../../shared/ntf/payload.js';
import { decodeResponse, encodeResponse, type NtfResponse } from '../../../../shared/ntf/responses.js';
import type { SmpQueue } from '../../../../shared/smp/address.js';

/** Objects as the decoders make them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const id = fc.uint8Array({ minLength: 1, maxLength: 255 });
const key = fc.oneof(
  ...(
    [
      ['ed25519', 32],
      ['ed448', 57],
      ['x25519', 32],
    ] as const
  ).map(([algorithm, size]) => bytes(size).map((raw): Key<AuthAlgorithm> => ({ algorithm, raw }))),
);
/** No IPv6 literal: as a text it takes a following port for its own (guide A.5). */
const host = fc.constantFrom('smp8.simplex.im', '10.0.0.1', `${'a2'.repeat(28)}.onion`);
const queue: fc.Arbitrary<SmpQueue> = record({
  server: record({
    hosts: fc.array(host, { minLength: 1, maxLength: 3 }),
    port: fc.constantFrom('', '443', '5223'),
    keyHash: bytes(32),
  }),
  notifierId: id,
});
const token = record({ provider: fc.constantFrom(...PROVIDERS), text: fc.uint8Array({ maxLength: 255 }) });

const command: fc.Arbitrary<NtfCommand> = fc.oneof(
  record({ word: fc.constant('TNEW'), token, verifyKey: key, dhKey: bytes(32) }),
  record({ word: fc.constant('TVFY'), code: fc.uint8Array({ maxLength: 255 }) }),
  record({ word: fc.constant('TRPL'), token }),
  record({ word: fc.constant('TCRN'), minutes: fc.nat(0xffff) }),
  record({ word: fc.constant('SNEW'), tokenId: id, queue, notifierKey: key }),
  record({ word: fc.constantFrom('TCHK', 'TDEL', 'SCHK', 'SDEL', 'PING') }),
) as fc.Arbitrary<NtfCommand>;

const response: fc.Arbitrary<NtfResponse> = fc.oneof(
  record({ word: fc.constant('IDTKN'), tokenId: id, dhKey: bytes(32) }),
  record({ word: fc.constant('IDSUB'), subscriptionId: id }),
  record({
    word: fc.constant('TKN'),
    status: fc.oneof(
      record({ kind: fc.constantFrom('NEW', 'REGISTERED', 'CONFIRMED', 'ACTIVE', 'EXPIRED', 'INVALID') }),
      record({ kind: fc.constant('INVALID'), reason: fc.constantFrom('BAD', 'TOPIC', 'EXPIRED') }),
    ),
  }),
  record({
    word: fc.constant('SUB'),
    status: fc.oneof(
      record({ kind: fc.constantFrom('NEW', 'PENDING', 'END', 'SERVICE') }),
      record({ kind: fc.constant('ERR'), text: fc.string() }),
    ),
  }),
  record({ word: fc.constant('ERR'), error: fc.constant({ kind: 'CMD', reason: 'SYNTAX' }) }),
  record({ word: fc.constantFrom('OK', 'PONG') }),
) as fc.Arbitrary<NtfResponse>;

const item: fc.Arbitrary<PayloadItem> = record({
  queue,
  time: fc.nat(0xffff_ffff),
  nonce: bytes(24),
  metadata: fc.uint8Array({ minLength: 1, maxLength: 200 }),
});

/** Words in front of random bytes, so that parameters are reached. */
const noise = fc
  .tuple(
    fc.constantFrom('', 'TNEW T', 'TNEW TAP', 'SNEW S', 'TRPL AN', 'TVFY ', 'IDTKN ', 'SUB ERR ', 'ERR '),
    fc.uint8Array(),
  )
  .map(([word, rest]) => concat(utf8(word), rest));

const decoders = [decodeCommand, decodeResponse, decodeServerHello, decodeClientHello, decodeItems];

describe('NTF codecs', () => {
  it('decode what they encode', () => {
    fc.assert(fc.property(command, (c) => assert.deepEqual(decodeCommand(encodeCommand(c)), c)));
    fc.assert(fc.property(response, (r) => assert.deepEqual(decodeResponse(encodeResponse(r, 3)), r)));
    const items = fc.array(item, { minLength: 1, maxLength: 6 });
    fc.assert(fc.property(items, (all) => assert.deepEqual(decodeItems(encodeItems(all)), all)));
  });

  it('throw nothing but DecodeError on random bytes', () => {
    const survives = (decode: (input: Uint8Array) => unknown, input: Uint8Array): void => {
      try {
        decode(input);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    };
    for (const decode of decoders)
      fc.assert(
        fc.property(noise, (input) => survives(decode, input)),
        { numRuns: 500 },
      );
  });

  it('refuse every shortened and every lengthened command with parameters', () => {
    const withParameters = command.filter((c) => encodeCommand(c).length > 4);
    fc.assert(
      fc.property(withParameters, fc.nat(), (c, cut) => {
        const encoded = encodeCommand(c);
        const end = 4 + (cut % (encoded.length - 4));
        assert.throws(() => decodeCommand(encoded.subarray(0, end)), DecodeError);
        assert.throws(() => decodeCommand(concat(encoded, Uint8Array.of(0))), DecodeError);
      }),
    );
  });
});
