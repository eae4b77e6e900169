/** What the HPACK decoder accepts, refuses and leaves out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type DecoderOptions,
  HpackDecoder,
} from '../../../../../../services/gateway/apns/http2/hpack/decoder.js';
import { DecodeError } from '../../../../../../shared/encoding/reader.js';
import { bytesOf, decodeBlock, type Field, stringLiteral } from '../../../../../support/apns/hpack.js';

/** `a: <length times x>` as a literal of this kind. */
const literal = (kind: number, length: number, isHuffman = false): Uint8Array =>
  Buffer.concat([
    Uint8Array.of(kind),
    stringLiteral('a', isHuffman),
    stringLiteral('x'.repeat(length), isHuffman),
  ]);
const refuses = (hex: string | Uint8Array, what: RegExp, options: DecoderOptions = {}): void => {
  const block = typeof hex === 'string' ? bytesOf(hex) : hex;
  assert.throws(
    () => decodeBlock(new HpackDecoder(options), block),
    (error) => error instanceof DecodeError && what.test(error.message),
  );
};

describe('HPACK decoder', () => {
  test('nothing, and the commonest answer', () => {
    const decoder = new HpackDecoder();
    assert.deepEqual(decodeBlock(decoder, new Uint8Array()), []);
    assert.deepEqual(decodeBlock(decoder, Uint8Array.of(0x88)), [[':status', '200']]);
  });

  test('refuses indexes of nothing', () => {
    for (const block of ['80', 'be', 'ff00', 'ff80 8001', '7e 0161', '0f2f 0161', '1f2f 0161'])
      refuses(block, /index/);
  });

  test('refuses what ends early', () => {
    for (const block of ['ff', '40', '4001', '400161', '40016102', '4001610261', '0f', '3f', '4081'])
      refuses(block, /too short/);
  });

  test('refuses integers beyond 2^28, and those that never end', () => {
    refuses('ff 81 ff ff 7f', /index/); // 2^28
    refuses('ff 82 ff ff 7f', /too large/);
    refuses('ff 80 80 80 80 00', /index/);
    refuses('ff 80 80 80 80 02', /too large/);
    refuses('ff 80 80 80 80 80 00', /too large/);
    refuses(`ff ${'80'.repeat(100)}`, /too large/);
    refuses('3f e1 ff ff 7f', /limit/);
  });

  test('size updates: two at most, at the beginning only, never above the limit', () => {
    assert.deepEqual(decodeBlock(new HpackDecoder(), bytesOf('20 3fe1 1f 88')), [[':status', '200']]);
    refuses('3fe2 1f', /limit/); // 4,097
    refuses('20 20 20 88', /out of place/);
    refuses('88 20', /out of place/);
    refuses('400161 0162 20', /out of place/);
  });

  test('a size update evicts, and what came before is gone when the table grows again', () => {
    const decoder = new HpackDecoder();
    decodeBlock(decoder, literal(0x40, 1));
    assert.deepEqual(decodeBlock(decoder, bytesOf('be')), [['a', 'x']]);
    assert.deepEqual(decodeBlock(decoder, bytesOf('22 3fe1 1f')), []);
    assert.throws(() => decodeBlock(decoder, bytesOf('be')), DecodeError);
  });

  test('a table below the default must be announced by the first block (RFC 9113 §4.3.1)', () => {
    refuses('88', /not shrunk/, { maxTableSize: 100 });
    refuses('3f46 88', /limit/, { maxTableSize: 100 }); // 101
    const decoder = new HpackDecoder({ maxTableSize: 100 });
    assert.deepEqual(decodeBlock(decoder, bytesOf('3f45 88')), [[':status', '200']]);
    assert.deepEqual(decodeBlock(decoder, bytesOf('88')), [[':status', '200']]);
  });

  test('a table above the default is used once the peer says so', () => {
    const decoder = new HpackDecoder({ maxTableSize: 8192 });
    decodeBlock(decoder, literal(0x40, 4064));
    assert.throws(() => decodeBlock(decoder, bytesOf('be')), DecodeError); // 4,097 did not fit
    decodeBlock(decoder, Buffer.concat([bytesOf('3fe1 3f'), literal(0x40, 4064)]));
    assert.equal(decodeBlock(decoder, bytesOf('be'))[0]![1].length, 4064);
  });

  test('an entry larger than the table empties it; a name may come from an entry that leaves', () => {
    const decoder = new HpackDecoder();
    decodeBlock(decoder, literal(0x40, 3000));
    const second = Buffer.concat([Uint8Array.of(0x7e), stringLiteral('y'.repeat(3000), false)]);
    assert.deepEqual(decodeBlock(decoder, second), [['a', 'y'.repeat(3000)]]);
    assert.deepEqual(decodeBlock(decoder, bytesOf('be')), [['a', 'y'.repeat(3000)]]);
    assert.throws(() => decodeBlock(decoder, bytesOf('bf')), DecodeError);
    decodeBlock(decoder, literal(0x40, 5000));
    assert.throws(() => decodeBlock(decoder, bytesOf('be')), DecodeError);
  });

  test('a table full of empty entries ends where it ends', () => {
    const decoder = new HpackDecoder();
    for (let i = 0; i <= 4096 / 32; i++) decodeBlock(decoder, bytesOf('4000 00'));
    assert.deepEqual(decodeBlock(decoder, bytesOf('ff3e')), [['', '']]); // 61 + 128
    assert.throws(() => decodeBlock(decoder, bytesOf('ff3f')), DecodeError);
  });

  test('neither kind of literal without index enters the table', () => {
    const decoder = new HpackDecoder();
    for (const kind of [0x00, 0x10]) {
      assert.deepEqual(decodeBlock(decoder, literal(kind, 3)), [['a', 'xxx']]);
      assert.throws(() => decodeBlock(decoder, bytesOf('be')), DecodeError);
    }
  });

  for (const isHuffman of [false, true]) {
    test(`a list has a limit, whoever wants its fields, ${isHuffman ? 'Huffman' : 'raw'}`, () => {
      const options = { maxListSize: 100, wanted: new Set<string>() };
      assert.deepEqual(decodeBlock(new HpackDecoder(options), literal(0, 67, isHuffman)), []);
      refuses(literal(0, 68, isHuffman), /list too large/, options);
      refuses(literal(0, 101, isHuffman), isHuffman ? /too long/ : /list too large/, options);
    });
  }

  test("the limit is a block's, and counts fields from the tables too", () => {
    const decoder = new HpackDecoder({ maxListSize: 100, wanted: new Set() });
    const size = 32 + 1 + 10;
    for (let i = 0; i < 5; i++) decodeBlock(decoder, literal(0x40, 10));
    decodeBlock(decoder, bytesOf('be be'));
    assert.ok(3 * size > 100);
    assert.throws(() => decodeBlock(decoder, bytesOf('be be be')), DecodeError);
    refuses('88 88 88', /list too large/, { maxListSize: 100 });
  });

  test('only wanted fields are reported, and the tables agree nevertheless', () => {
    const decoder = new HpackDecoder({ wanted: new Set([':status', 'date']) });
    const date: Field = ['date', '1'];
    assert.deepEqual(decodeBlock(decoder, bytesOf('88 6101 31')), [[':status', '200'], date]);
    for (let i = 0; i < 3; i++) assert.deepEqual(decodeBlock(decoder, literal(0x40, 10)), []);
    assert.deepEqual(decodeBlock(decoder, bytesOf('be bf c0 c1')), [date]);
    const size = 3 * (32 + 1 + 10) + 32 + 4 + 1;
    assert.equal(size, 166);
    assert.deepEqual(decodeBlock(decoder, bytesOf('3f87 01 c1')), [date]); // 166
    assert.throws(() => decodeBlock(decoder, bytesOf('3f86 01 c1')), DecodeError); // 165
  });
});
