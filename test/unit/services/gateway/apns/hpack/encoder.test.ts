/** Blocks as the HPACK encoder writes them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HpackDecoder } from '../../../../../../services/gateway/apns/http2/hpack/decoder.js';
import {
  HpackEncoder,
  MAX_BEGIN_SIZE,
  MAX_FIELD_OVERHEAD,
} from '../../../../../../services/gateway/apns/http2/hpack/encoder.js';
import { STATIC_TABLE } from '../../../../../../services/gateway/apns/http2/hpack/static-table.js';
import { decodeBlock, written } from '../../../../../support/apns/hpack.js';

const begun = (encoder: HpackEncoder): string =>
  written((out, at) => encoder.begin(out, at), MAX_BEGIN_SIZE).toString('hex');
const indexed = (encoder: HpackEncoder, name: string, value: string): string =>
  written((out, at) => encoder.indexed(out, at, name, value)).toString('hex');
const literal = (encoder: HpackEncoder, name: string, value: string): string =>
  written((out, at) => encoder.literal(out, at, name, value)).toString('hex');

describe('HPACK encoder', () => {
  test('tells a changed table size once, at the beginning of the next block', () => {
    const encoder = new HpackEncoder();
    assert.equal(begun(encoder), '');
    encoder.setMaxTableSize(4096);
    assert.equal(begun(encoder), '');
    encoder.setMaxTableSize(100);
    assert.equal(begun(encoder), '3f45');
    assert.equal(begun(encoder), '');
    encoder.setMaxTableSize(101);
    assert.equal(begun(encoder), '3f46');
  });

  test('never uses more than 4,096 bytes', () => {
    const encoder = new HpackEncoder();
    encoder.setMaxTableSize(0xffff_ffff);
    assert.equal(begun(encoder), '');
    encoder.setMaxTableSize(0);
    begun(encoder);
    encoder.setMaxTableSize(0xffff_ffff);
    assert.equal(begun(encoder), '3fe11f');
  });

  test('tells the smallest size too where the table shrank and grew between two blocks', () => {
    const encoder = new HpackEncoder();
    indexed(encoder, 'a', 'b');
    assert.equal(indexed(encoder, 'a', 'b'), 'be');
    for (const size of [500, 200, 300, 4096]) encoder.setMaxTableSize(size);
    const updates = begun(encoder);
    assert.equal(updates, '3fa9013fe11f');
    assert.equal(updates.length / 2, MAX_BEGIN_SIZE);
    assert.equal(begun(encoder), '');
    assert.equal(indexed(encoder, 'a', 'b'), 'be');
    for (const size of [0, 4096]) encoder.setMaxTableSize(size);
    assert.equal(begun(encoder), '203fe11f');
    assert.equal(indexed(encoder, 'a', 'b'), '4001610162');
  });

  test('without a table every field is a literal', () => {
    const encoder = new HpackEncoder();
    encoder.setMaxTableSize(0);
    begun(encoder);
    for (let i = 0; i < 2; i++) assert.equal(indexed(encoder, 'a', 'b'), '0001610162');
    assert.equal(indexed(encoder, ':method', 'POST'), '83');
  });

  test('a field larger than the table leaves it as it is', () => {
    const encoder = new HpackEncoder();
    indexed(encoder, 'a', 'b');
    assert.match(indexed(encoder, 'c', 'x'.repeat(4064)), /^00/);
    assert.equal(indexed(encoder, 'a', 'b'), 'be');
  });

  test('names by index, from both tables, also when their first entry has gone', () => {
    const encoder = new HpackEncoder();
    assert.equal(literal(encoder, ':path', '/3'), '04022f33');
    assert.equal(literal(encoder, 'authorization', 'x'), '0f080178');
    indexed(encoder, 'a', 'b');
    indexed(encoder, 'a', 'c');
    assert.equal(literal(encoder, 'a', 'd'), '0f300164'); // 63, the older
    encoder.setMaxTableSize(34);
    begun(encoder);
    assert.equal(literal(encoder, 'a', 'd'), '0f2f0164'); // 62, the one that is left
    encoder.setMaxTableSize(0);
    begun(encoder);
    assert.equal(literal(encoder, 'a', 'd'), '0001610164');
  });

  test("a never-indexed value is the caller's, and is in no table", () => {
    const encoder = new HpackEncoder();
    const secret = Buffer.from('/3/device/00');
    const block = written((out, start) => {
      const at = encoder.neverIndexed(out, start, ':path', secret.length);
      return at + secret.copy(out, at);
    });
    assert.equal(block.toString('latin1'), `\x14\x0c${secret}`);
    assert.deepEqual(decodeBlock(new HpackDecoder(), block), [[':path', '/3/device/00']]);
    assert.equal(indexed(encoder, ':path', String(secret)).slice(0, 2), '44');
    const own = written((out, at) => encoder.neverIndexed(out, at, 'apns-id', 300));
    assert.equal(own.toString('latin1'), '\x10\x07apns-id\x7f\xad\x01');
  });

  test('every static field is one byte', () => {
    const encoder = new HpackEncoder();
    for (const [i, { name, value }] of STATIC_TABLE.entries())
      assert.equal(indexed(encoder, name, value), (0x81 + i).toString(16), name);
  });

  test('a field takes no more than is promised', () => {
    const encoder = new HpackEncoder();
    for (const length of [0, 126, 127, 128, 16_510, 16_511, 70_000]) {
      const text = 'x'.repeat(length);
      const room = 2 * length + MAX_FIELD_OVERHEAD;
      written((out, at) => encoder.indexed(out, at, text, text), room);
      written((out, at) => encoder.literal(out, at, text, text), room);
      written((out, at) => encoder.neverIndexed(out, at, text, length) + length, room);
    }
  });
});
