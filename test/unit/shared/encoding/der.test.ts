import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../../../shared/encoding/bytes.js';
import {
  bitString,
  boolean,
  DER,
  element,
  oid,
  peekTag,
  readBitString,
  readElement,
  readWholeElement,
  sequence,
  time,
  unsignedInteger,
} from '../../../../shared/encoding/der.js';
import { DecodeError, decodeAll, Reader } from '../../../../shared/encoding/reader.js';
import { hex } from '../../../support/crypto.js';

describe('DER writer', () => {
  test('lengths take the shortest form', () => {
    for (const [length, header] of [
      [0, '0400'],
      [127, '047f'],
      [128, '048180'],
      [255, '0481ff'],
      [256, '04820100'],
      [65_536, '0483010000'],
    ] as const) {
      const out = element(DER.octetString, new Uint8Array(length));
      assert.deepEqual(out.subarray(0, header.length / 2), hex(header));
      assert.equal(out.length, header.length / 2 + length);
    }
  });

  test('integers are unsigned and shortest', () => {
    for (const [bytes, der] of [
      ['', '020100'],
      ['00', '020100'],
      ['0001', '020101'],
      ['7f', '02017f'],
      ['80', '02020080'],
      ['00ff00', '020300ff00'],
    ] as const) {
      assert.deepEqual(unsignedInteger(hex(bytes)), hex(der), bytes);
    }
  });

  test('object identifiers', () => {
    assert.deepEqual(oid('1.3.101.112'), hex('06032b6570'));
    assert.deepEqual(oid('2.5.29.15'), hex('0603551d0f'));
    assert.deepEqual(oid('1.2.840.10045.4.3.2'), hex('06082a8648ce3d040302'));
  });

  test('times turn to the long form in 2050 and end with the year 9999', () => {
    const long = (text: string) => element(DER.generalizedTime, utf8(text));
    assert.deepEqual(time(new Date('2026-11-21T09:08:07.999Z')), element(DER.utcTime, utf8('261121090807Z')));
    assert.deepEqual(time(new Date('2049-12-31T23:59:59Z')), element(DER.utcTime, utf8('491231235959Z')));
    assert.deepEqual(time(new Date('2050-01-01T00:00:00Z')), long('20500101000000Z'));
    assert.deepEqual(time(new Date('1949-12-31T23:59:59Z')), long('19491231235959Z'));
    assert.deepEqual(time(new Date('4764-10-17T03:42:36Z')), long('47641017034236Z'));
    assert.throws(() => time(new Date('+010000-01-01T00:00:00Z')), RangeError);
    assert.throws(() => time(new Date(Number.NaN)), RangeError);
  });

  test('booleans and bit strings', () => {
    assert.deepEqual(boolean(true), hex('0101ff'));
    assert.deepEqual(bitString(hex('c8'), 3), hex('030203c8'));
    assert.deepEqual(decodeAll(bitString(hex('c8')), readBitString), hex('c8'));
  });
});

describe('DER reader', () => {
  const octets = (reader: Reader) => readElement(reader, DER.octetString);

  test('reads what was written, of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70_000, size: 'max' }), (bytes) => {
        const der = element(DER.octetString, bytes);
        assert.deepEqual(decodeAll(der, octets), bytes);
        assert.deepEqual(
          decodeAll(der, (reader) => readWholeElement(reader, DER.octetString)),
          der,
        );
      }),
      { numRuns: 30 },
    );
  });

  test('sees the next tag, and the end', () => {
    assert.equal(peekTag(new Reader(sequence())), DER.sequence);
    assert.equal(peekTag(new Reader(new Uint8Array(0))), undefined);
  });

  test('takes no other encoding of the same value', () => {
    for (const [why, der] of [
      ['nothing', ''],
      ['other tag', '0500'],
      ['no length', '04'],
      ['cut', '040201'],
      ['long form of a short length', '04810101'],
      ['leading zero in the length', `04820080${'00'.repeat(128)}`],
      ['indefinite length', '04800000'],
      ['reserved length', '04ff00'],
      ['longer than the input', '0483ffffff00'],
      ['four length bytes', '048400000001'],
    ] as const) {
      assert.throws(() => octets(new Reader(hex(der))), DecodeError, why);
    }
    assert.throws(() => readElement(new Reader(hex('1f0100')), 0x1f), DecodeError, 'multi-byte tag');
    for (const bits of ['0300', '030101', '030203c8']) {
      assert.throws(() => readBitString(new Reader(hex(bits))), DecodeError, bits);
    }
  });

  test('random bytes give an element that encodes back to them, or a DecodeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const reader = new Reader(bytes);
        const tag = peekTag(reader) ?? 0;
        try {
          const content = readElement(reader, tag);
          assert.deepEqual(element(tag, content), bytes.subarray(0, reader.offset));
        } catch (error) {
          assert.ok(error instanceof DecodeError);
        }
      }),
    );
  });
});
