import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  base64urlLength,
  fromBase64url,
  toBase64url,
  toBase64urlBare,
  writeBase64url,
} from '../../../../shared/encoding/base64url.js';
import { concat, fromHex, latin1, sameBytes, toHex, utf8 } from '../../../../shared/encoding/bytes.js';
import { DecodeError, decodeAll, Reader } from '../../../../shared/encoding/reader.js';
import { Writer } from '../../../../shared/encoding/writer.js';

const bytes = (max = 300) => fc.uint8Array({ maxLength: max });

describe('base64url', () => {
  test('agrees with Node, padded and bare', () => {
    fc.assert(
      fc.property(bytes(), (b) => {
        const bare = Buffer.from(b).toString('base64url');
        const padded = toBase64url(b);
        assert.equal(toBase64urlBare(b), bare);
        assert.equal(padded.length, base64urlLength(b.length));
        assert.deepEqual(fromBase64url(padded), b);
        assert.deepEqual(fromBase64url(bare), b);
        const out = new Uint8Array(base64urlLength(b.length) + 4);
        assert.equal(writeBase64url(b, out, 2), padded.length + 2);
        assert.equal(latin1(out.subarray(2, -2)), padded);
      }),
    );
  });

  test('refuses what is not base64url, or a second spelling of the same bytes', () => {
    for (const text of ['A', 'AB+/', 'AA AA', 'AAé', 'AB', 'AA===', '=A', 'A\u0100AA'])
      assert.equal(fromBase64url(text), undefined, text);
    fc.assert(fc.property(fc.string(), (s) => fromBase64url(s) === undefined || /^[\w-]*=*$/.test(s)));
  });
});

describe('bytes', () => {
  test('hex in any case', () => {
    fc.assert(fc.property(bytes(), (b) => sameBytes(fromHex(toHex(b).toUpperCase())!, b)));
    for (const text of ['0', 'zz', '0x11', ' 11']) assert.equal(fromHex(text), undefined);
  });

  test('concat, latin1 and comparison', () => {
    assert.deepEqual(concat(utf8('ab'), new Uint8Array(), utf8('c')), utf8('abc'));
    assert.equal(latin1(new Uint8Array(10_000).fill(0xe9)), 'é'.repeat(10_000));
    assert.equal(sameBytes(utf8('ab'), utf8('abc')), false);
  });
});

describe('reader and writer', () => {
  test('every primitive comes back as it was written', () => {
    const any = fc.record({
      u8: fc.integer({ min: 0, max: 255 }),
      u16: fc.integer({ min: 0, max: 0xffff }),
      u32: fc.integer({ min: 0, max: 0xffff_ffff }),
      i64: fc.maxSafeInteger(),
      short: bytes(255),
      large: bytes(1_000),
      bool: fc.boolean(),
      maybe: fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }),
      list: fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 255 }),
      tail: bytes(),
    });
    fc.assert(
      fc.property(any, (v) => {
        const out = new Writer(1);
        out.u8(v.u8).u16(v.u16).u32(v.u32).i64(v.i64).shortString(v.short).large(v.large).bool(v.bool);
        out
          .maybe(v.maybe, (n) => out.u8(n))
          .list(v.list, (n) => out.u16(n))
          .text('tag ')
          .bytes(v.tail);
        const back = decodeAll(out.done(), (r) => ({
          u8: r.u8(),
          u16: r.u16(),
          u32: r.u32(),
          i64: r.i64(),
          short: r.shortString(),
          large: r.large(),
          bool: r.bool(),
          maybe: r.maybe(() => r.u8()),
          list: r.list(() => r.u16()),
          tag: r.expect('tag '),
          tail: r.tail(),
        }));
        assert.deepEqual(back, { ...v, tag: undefined });
      }),
    );
  });

  test('numbers that do not fit are refused on both sides', () => {
    for (const write of [
      (w: Writer) => w.u8(256),
      (w: Writer) => w.u16(-1),
      (w: Writer) => w.u32(2 ** 32),
      (w: Writer) => w.i64(2 ** 53),
      (w: Writer) => w.shortString(new Uint8Array(256)),
      (w: Writer) => w.u8(1.5),
    ]) {
      assert.throws(() => write(new Writer()), RangeError);
    }
    assert.throws(() => new Reader(new Uint8Array(8).fill(0x7f)).i64(), DecodeError);
  });

  test('short input, trailing bytes and wrong tags are decode errors', () => {
    const cases: [string, (r: Reader) => unknown][] = [
      ['', (r) => r.u8()],
      ['05aabb', (r) => r.shortString()],
      ['0005aa', (r) => r.large()],
      ['55', (r) => r.bool()],
      ['32', (r) => r.maybe(() => 0)],
      ['00', (r) => r.nonEmpty(() => r.u8())],
      ['0201', (r) => r.list(() => r.u8())],
      ['4142', (r) => r.expect('AC')],
      ['4142', (r) => r.u8()],
    ];
    for (const [hex, parse] of cases) assert.throws(() => decodeAll(fromHex(hex)!, parse), DecodeError, hex);
    const reader = new Reader(utf8('AB'));
    assert.deepEqual([reader.accept('AC'), reader.accept('ABC'), reader.accept('AB')], [false, false, true]);
  });
});
