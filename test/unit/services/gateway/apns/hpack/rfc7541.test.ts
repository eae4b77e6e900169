/** The examples of RFC 7541, Appendix C, read, and written where we would write them so. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HpackDecoder } from '../../../../../../services/gateway/apns/http2/hpack/decoder.js';
import { HpackEncoder } from '../../../../../../services/gateway/apns/http2/hpack/encoder.js';
import { readInteger, writeInteger } from '../../../../../../services/gateway/apns/http2/hpack/integer.js';
import { Reader } from '../../../../../../shared/encoding/reader.js';
import { bytesOf, decodeBlock, type Field, written } from '../../../../../support/apns/hpack.js';

interface Exchange {
  readonly fields: readonly Field[];
  readonly raw: string;
  readonly huffman: string;
}

const AUTHORITY = [':authority', 'www.example.com'] as const;

/** C.3 and C.4. */
const REQUESTS: readonly Exchange[] = [
  {
    fields: [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], AUTHORITY],
    raw: '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    huffman: '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
  },
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      AUTHORITY,
      ['cache-control', 'no-cache'],
    ],
    raw: '8286 84be 5808 6e6f 2d63 6163 6865',
    huffman: '8286 84be 5886 a8eb 1064 9cbf',
  },
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/index.html'],
      AUTHORITY,
      ['custom-key', 'custom-value'],
    ],
    raw: '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    huffman: '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
  },
];

const PRIVATE = ['cache-control', 'private'] as const;
const DATE = ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'] as const;
const LOCATION = ['location', 'https://www.example.com'] as const;
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

/** C.5 and C.6, whose tables hold 256 bytes. */
const RESPONSES: readonly Exchange[] = [
  {
    fields: [[':status', '302'], PRIVATE, DATE, LOCATION],
    raw: `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
      2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
    huffman: `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
      2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
  },
  {
    fields: [[':status', '307'], PRIVATE, DATE, LOCATION],
    raw: '4803 3330 37c1 c0bf',
    huffman: '4883 640e ffc1 c0bf',
  },
  {
    fields: [
      [':status', '200'],
      PRIVATE,
      ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
      LOCATION,
      ['content-encoding', 'gzip'],
      ['set-cookie', COOKIE],
    ],
    raw: `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
      54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851
      5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    huffman: `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
      77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160
      65c0 03ed 4ee5 b106 3d50 07`,
  },
];

/** The dynamic tables after the last example, newest first. */
const AFTER_REQUESTS: readonly Field[] = [
  ['custom-key', 'custom-value'],
  ['cache-control', 'no-cache'],
  AUTHORITY,
];
const AFTER_RESPONSES: readonly Field[] = [
  ['set-cookie', COOKIE],
  ['content-encoding', 'gzip'],
  ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
];

/** The example's peer has set its table to 256 bytes before. */
const TABLE_OF_256 = bytesOf('3fe1 01');

const reads = (hex: string, bits: number): number => {
  const r = new Reader(bytesOf(hex));
  return readInteger(r, r.u8(), bits);
};

describe('RFC 7541, Appendix C', () => {
  test('C.1: integers', () => {
    for (const [value, bits, hex] of [
      [10, 5, '0a'],
      [1337, 5, '1f9a0a'],
      [42, 8, '2a'],
    ] as const) {
      assert.equal(reads(hex, bits), value);
      assert.equal(written((out, at) => writeInteger(out, at, 0, bits, value)).toString('hex'), hex);
    }
  });

  test('C.2: each representation', () => {
    const decoder = new HpackDecoder();
    for (const [hex, name, value] of [
      ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', 'custom-key', 'custom-header'],
      ['040c 2f73 616d 706c 652f 7061 7468', ':path', '/sample/path'],
      ['1008 7061 7373 776f 7264 0673 6563 7265 74', 'password', 'secret'],
      ['82', ':method', 'GET'],
    ] as const) {
      assert.deepEqual(decodeBlock(decoder, bytesOf(hex)), [[name, value]]);
    }
    assert.deepEqual(decodeBlock(decoder, bytesOf('be')), [['custom-key', 'custom-header']]);
    assert.throws(() => decodeBlock(decoder, bytesOf('bf')));
  });

  for (const form of ['raw', 'huffman'] as const) {
    test(`C.3, C.4: requests, ${form}`, () => {
      const decoder = new HpackDecoder();
      for (const { fields, ...hex } of REQUESTS)
        assert.deepEqual(decodeBlock(decoder, bytesOf(hex[form])), fields);
      holds(decoder, AFTER_REQUESTS);
    });

    test(`C.5, C.6: responses with eviction, ${form}`, () => {
      const decoder = new HpackDecoder({ maxTableSize: 256 });
      decodeBlock(decoder, TABLE_OF_256);
      for (const { fields, ...hex } of RESPONSES)
        assert.deepEqual(decodeBlock(decoder, bytesOf(hex[form])), fields);
      holds(decoder, AFTER_RESPONSES);
    });
  }

  test('C.3, C.5: we write them to the byte', () => {
    const requests = new HpackEncoder();
    for (const { fields, raw } of REQUESTS) assert.deepEqual(encode(requests, fields), bytesOf(raw));
    const responses = new HpackEncoder();
    responses.setMaxTableSize(256);
    assert.deepEqual(encode(responses, []), TABLE_OF_256);
    for (const { fields, raw } of RESPONSES) assert.deepEqual(encode(responses, fields), bytesOf(raw));
  });
});

function encode(encoder: HpackEncoder, fields: readonly Field[]): Uint8Array {
  const block = written((out, start) =>
    fields.reduce((at, [name, value]) => encoder.indexed(out, at, name, value), encoder.begin(out, start)),
  );
  return Uint8Array.from(block);
}

/** Whether the dynamic table has these entries and no other. */
function holds(decoder: HpackDecoder, entries: readonly Field[]): void {
  const indexes = Uint8Array.from(entries, (_, i) => 0x80 | (62 + i));
  assert.deepEqual(decodeBlock(decoder, indexes), entries);
  assert.throws(() => decodeBlock(decoder, Uint8Array.of(0x80 | (62 + entries.length))));
}
