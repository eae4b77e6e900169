/** What a predecessor begins with, in the format of now and in the one before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeBegin,
  encodeBegin,
  FORMAT,
  READS,
} from '../../../../../services/subscriber/handover/frames.js';
import { DecodeError } from '../../../../../shared/encoding/reader.js';
import { Writer } from '../../../../../shared/encoding/writer.js';

const address = fc
  .tuple(fc.stringMatching(/^[a-z0-9-]{1,32}$/), fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535))
  .map(([name, host, port]) => ({ name, host, port }));

test('clock and addresses cross', () => {
  fc.assert(
    fc.property(fc.nat(), fc.array(address, { maxLength: 65 }), (now, addresses) => {
      assert.deepEqual(decodeBegin(encodeBegin(now, addresses), FORMAT), { now, addresses });
    }),
  );
});

test('format 1 has the clock only', () => {
  const body = new Writer().f64(5).done();
  assert.equal(READS.min, 1);
  assert.deepEqual(decodeBegin(body, 1), { now: 5, addresses: undefined });
  assert.throws(() => decodeBegin(body, FORMAT), DecodeError);
});

test('other bytes are a DecodeError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(1, FORMAT), (bytes, format) => {
      try {
        decodeBegin(bytes, format);
      } catch (error) {
        assert.ok(error instanceof DecodeError);
      }
    }),
  );
});
