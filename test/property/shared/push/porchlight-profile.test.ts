/** Any push comes back as it went; any bytes are a push or a `DecodeError`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import {
  decodePush,
  encodePush,
  PLAINTEXT_SIZE,
  type PorchlightPush,
  type PushEntry,
  SIGNAL_CLASSES,
} from '../../../../shared/push/porchlight-profile.js';

const RUNS = { numRuns: process.env.SLOW ? 20_000 : 200 };
const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const u32 = fc.nat(0xffff_ffff);
const sealed = fc.record({ nonce: bytes(24), metadata: bytes(144) }, { noNullPrototype: true });
const entry: fc.Arbitrary<PushEntry> = fc
  .record({
    subscriptionId: bytes(24),
    sequence: u32,
    class: fc.constantFrom(...SIGNAL_CLASSES),
    time: fc.maxSafeNat(),
    sealed: fc.option(sealed, { nil: undefined }),
  })
  .map(({ sealed, ...rest }) => ({ ...rest, ...(sealed && { sealed }) }));
const push: fc.Arbitrary<PorchlightPush> = fc.record(
  {
    overflow: fc.boolean(),
    maybeMissed: fc.boolean(),
    check: fc.boolean(),
    epoch: fc.nat(0xffff),
    sequence: u32,
    time: u32,
    entries: fc.array(entry, { maxLength: 14 }),
  },
  { noNullPrototype: true },
);

test('round trip', () => {
  fc.assert(
    fc.property(push, (p) => {
      const plaintext = encodePush(p);
      assert.equal(plaintext.length, PLAINTEXT_SIZE);
      assert.deepEqual(decodePush(plaintext), p);
    }),
    RUNS,
  );
});

test('any bytes, and pushes with some bytes replaced', () => {
  const decodes = (plaintext: Uint8Array): void => {
    try {
      assert.deepEqual(encodePush(decodePush(plaintext)), plaintext, 'only what the encoder writes');
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), decodes), RUNS);
  const changes = fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(push, changes, (p, list) => {
      const plaintext = encodePush(p);
      for (const [at, byte] of list) plaintext[at] = byte;
      decodes(plaintext);
    }),
    RUNS,
  );
});
