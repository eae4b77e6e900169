/** What both sides say of their listeners. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeBegin,
  decodeNames,
  encodeBegin,
  encodeNames,
  FORMAT,
  READS,
} from '../../../../../services/subscriber/handover/frames.js';
import { DecodeError } from '../../../../../shared/encoding/reader.js';

const address = fc
  .tuple(fc.stringMatching(/^[a-z0-9-]{1,32}$/), fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535))
  .map(([name, host, port]) => ({ name, host, port }));

test('clock, addresses and names cross', () => {
  fc.assert(
    fc.property(fc.nat(), fc.array(address, { maxLength: 65 }), (now, addresses) => {
      assert.deepEqual(decodeBegin(encodeBegin(now, addresses)), { now, addresses });
      const names = addresses.map(({ name }) => name);
      assert.deepEqual(decodeNames(encodeNames(names)), names);
    }),
  );
});

test('a successor reads the format before its own, as ever', () => {
  assert.deepEqual(READS, { min: FORMAT - 1, max: FORMAT });
});

test('other bytes are a DecodeError', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom(decodeBegin, decodeNames),
      (bytes, decode) => {
        try {
          decode(bytes);
        } catch (error) {
          assert.ok(error instanceof DecodeError);
        }
      },
    ),
  );
});
