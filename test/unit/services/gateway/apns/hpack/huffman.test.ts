/** The Huffman code of HPACK: every byte value, and what may not stand in or behind a string (RFC 7541 §5.2). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CODE_LENGTHS, decodeHuffman } from '../../../../../../services/gateway/apns/http2/hpack/huffman.js';
import { DecodeError } from '../../../../../../shared/encoding/reader.js';
import { bitsToBytes, encodeHuffman, HUFFMAN_CODES } from '../../../../../support/apns/hpack.js';

const EOS = '1'.repeat(30);
const a = HUFFMAN_CODES[0x61]!;

const decode = (input: Uint8Array, room = 1024): Uint8Array => {
  const out = new Uint8Array(room);
  return out.subarray(0, decodeHuffman(input, out));
};
const refuses = (input: Uint8Array, what: RegExp, room?: number): void =>
  assert.throws(
    () => decode(input, room),
    (error) => error instanceof DecodeError && what.test(error.message),
  );

describe('HPACK: Huffman code', () => {
  test('is complete, and the codes are those of Appendix B', () => {
    assert.equal(CODE_LENGTHS.length, 257);
    assert.equal(
      CODE_LENGTHS.reduce((sum, length) => sum + 2 ** (30 - length), 0),
      2 ** 30,
    );
    const codes = { 0: '1ff8', 32: '14', 48: '0', 96: '7ffd', 127: 'ffffffc', 128: 'fffe6', 208: '7fff2' };
    for (const [symbol, hex] of Object.entries({
      ...codes,
      22: '3ffffffe',
      249: 'ffffffe',
      256: '3fffffff',
    })) {
      assert.equal(Number.parseInt(HUFFMAN_CODES[Number(symbol)]!, 2).toString(16), hex, symbol);
    }
  });

  test('every byte value at every place in a byte', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    assert.deepEqual(decode(encodeHuffman(all)), all);
    for (const byte of all) {
      for (let before = 0; before < 8; before++) {
        const text = Uint8Array.from([...new Array(before).fill(0x61), byte, 0x61]);
        assert.deepEqual(decode(encodeHuffman(text)), text);
      }
    }
    assert.deepEqual(decode(new Uint8Array()), new Uint8Array());
  });

  test('refuses EOS, padding that is not ones, and padding of a byte or more', () => {
    refuses(bitsToBytes(EOS), /EOS/);
    refuses(bitsToBytes(a + EOS), /EOS/);
    refuses(bitsToBytes(a, '0'), /padding/);
    refuses(bitsToBytes(`${a}110`), /padding/);
    refuses(bitsToBytes(`${a}111${'1'.repeat(8)}`), /padding/);
    refuses(Uint8Array.of(0xff), /padding/);
    assert.deepEqual(
      decode(bitsToBytes(`${HUFFMAN_CODES[0x2c]!.repeat(2)}${a}`)),
      Uint8Array.of(0x2c, 0x2c, 0x61),
    );
  });

  test('accepts seven bits of padding and refuses a code that was cut', () => {
    const byte = [...CODE_LENGTHS.keys()].find((symbol) => CODE_LENGTHS[symbol]! % 8 === 1)!;
    const code = HUFFMAN_CODES[byte]!;
    assert.deepEqual(decode(bitsToBytes(code)), Uint8Array.of(byte));
    refuses(bitsToBytes(code.slice(0, -2)), /padding/);
  });

  test('never writes more than there is room for', () => {
    const text = new Uint8Array(9).fill(0x61);
    assert.deepEqual(decode(encodeHuffman(text), 9), text);
    refuses(encodeHuffman(text), /too long/, 8);
  });
});
