/** HPACK against the one in Node (nghttp2), both directions, over h2c: what one writes the other must read. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  constants,
  createServer,
  type Http2Server,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  sensitiveHeaders,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { HpackDecoder } from '../../../services/gateway/apns/http2/hpack/decoder.js';
import { HpackEncoder } from '../../../services/gateway/apns/http2/hpack/encoder.js';
import { STATIC_TABLE } from '../../../services/gateway/apns/http2/hpack/static-table.js';
import { H2cClient } from '../../support/apns/h2c-client.js';
import { bytesOf, decodeBlock, type Field, written } from '../../support/apns/hpack.js';

const RUNS = { numRuns: process.env.SLOW ? 100 : 6 };
/** `:method GET`, `:scheme http`, `:path /`, `:authority x`. */
const GET = bytesOf('828684 01 0178');
const MAX_TABLE = 4096;

const text = (min: number, max: number, size: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min, max }), { maxLength: size }).map((codes) => String.fromCharCode(...codes));
/** A value that HTTP allows: no control characters, no space at either end (RFC 9113 §8.2.1). */
const httpValue = fc
  .tuple(text(0x21, 0x7e, 30), text(0x20, 0x7e, 4), text(0xa1, 0xff, 20))
  .map(([a, b, c]) => `${a}${b}${c}`.trim());
const repeated = fc.constantFrom('', '0', 'x', 'chat.example.app', 'z'.repeat(200));
const names = fc.constantFrom(
  'server',
  'etag',
  'retry-after',
  'apns-id',
  'apns-unique-id',
  'x-a',
  'x-b',
  'x-c',
);

describe('HPACK and nghttp2', { timeout: 30_000 }, () => {
  let server: Http2Server;
  let port: number;
  let session: ServerHttp2Session;
  let onStream: (stream: ServerHttp2Stream, rawHeaders: readonly string[]) => void;

  before(async () => {
    server = createServer();
    server.on('session', (opened) => {
      session = opened;
      opened.on('error', () => {});
    });
    server.on(
      'stream',
      (stream: ServerHttp2Stream, _headers: unknown, _flags: number, rawHeaders: string[]) => {
        stream.on('error', () => {});
        onStream(stream, rawHeaders);
      },
    );
    await once(server.listen(0, 'localhost'), 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => server.close());

  /** Has the server answer with each of these; the blocks that it wrote. */
  async function blocksOf(answers: readonly OutgoingHttpHeaders[], tableSize?: number): Promise<Buffer[]> {
    onStream = (stream) =>
      stream.respond(answers[(stream.id! - 1) / 2], { endStream: true, sendDate: false } as object);
    const client = await H2cClient.connect(port, tableSize);
    const blocks: Buffer[] = [];
    for (const _ of answers) {
      client.request(GET);
      blocks.push((await client.answer()).block);
    }
    client.close();
    return blocks;
  }

  test('reads every static entry of an answer', async () => {
    const fields = STATIC_TABLE.map(({ name, value }): Field => [name, value]);
    const statuses = fields.filter(([name]) => name === ':status');
    // HTTP/2 has no transfer-encoding.
    const others = fields.filter(([name]) => name[0] !== ':' && name !== 'transfer-encoding');
    // nghttp2 never indexes these: kind and index of the name in two bytes, and the length of nothing.
    const secret = new Set(['authorization', 'cookie']);
    const answers = [...statuses.map((field) => [field]), [statuses[0]!, ...others]];
    const blocks = await blocksOf(answers.map(Object.fromEntries));
    const decoder = new HpackDecoder();
    for (const [i, block] of blocks.entries()) {
      assert.deepEqual(decodeBlock(decoder, block), answers[i]);
      const size = answers[i]!.reduce((sum, [name]) => sum + (secret.has(name) ? 3 : 1), 0);
      assert.equal(block.length, size, 'no name is spelt out');
    }
  });

  test('reads every byte value in its Huffman code', async () => {
    const values = Array.from({ length: 255 }, (_, i) => `${'e'.repeat(60)}${String.fromCharCode(i + 1)}`);
    const blocks = await blocksOf(values.map((value) => ({ 'x-a': value })));
    const decoder = new HpackDecoder();
    for (const [i, block] of blocks.entries()) {
      assert.ok(block.length < values[i]!.length, 'it is Huffman');
      assert.deepEqual(decodeBlock(decoder, block), [
        [':status', '200'],
        ['x-a', values[i]],
      ]);
    }
  });

  test('reads random answers, through evictions, with any size of table', async () => {
    const fields = fc.dictionary(names, fc.oneof(repeated, text(1, 255, 60)), { maxKeys: 8 });
    const answer = fc.tuple(
      fc.constantFrom('200', '400', '410', '429', '503'),
      fields,
      fc.subarray(['x-a', 'etag']),
    );
    const tableSize = fc.constantFrom(undefined, 0, 60, 100, 200, MAX_TABLE, 65_536);
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { minLength: 60, maxLength: 80 }), tableSize, async (all, size) => {
        const answers = all.map(([status, rest, secret]) => ({
          ':status': status,
          ...rest,
          'set-cookie': ['a=1', `b=${status}`],
          [sensitiveHeaders]: secret,
        }));
        const expected = all.map(([status, rest]) => [
          [':status', status],
          ...Object.entries(rest),
          ['set-cookie', 'a=1'],
          ['set-cookie', `b=${status}`],
        ]);
        const decoder = new HpackDecoder({ maxTableSize: size ?? MAX_TABLE });
        const blocks = await blocksOf(answers, size);
        assert.deepEqual(
          blocks.map((block) => decodeBlock(decoder, block)),
          expected,
        );
      }),
      RUNS,
    );
  });

  test('writes what is read there, through evictions and changed settings', async () => {
    const field = fc.tuple(
      fc.constantFrom('indexed', 'literal', 'never'),
      fc.oneof(names, fc.constantFrom('x-d', 'x-e', 'x-f')),
      fc.oneof(repeated, httpValue),
    );
    const batch = fc.record({
      tableSizes: fc.array(fc.constantFrom(0, 50, 100, 1000, MAX_TABLE, 65_536), { maxLength: 2 }),
      requests: fc.array(fc.array(field, { maxLength: 20 }), { minLength: 5, maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { minLength: 4, maxLength: 6 }), async (batches) => {
        const heard: Field[][] = [];
        onStream = (stream, raw) => {
          heard.push(raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1]!] as const] : [])));
          stream.respond({ ':status': 200 }, { endStream: true });
        };
        const client = await H2cClient.connect(port);
        const encoder = new HpackEncoder();
        await client.tableSize();
        const said: Field[][] = [];
        for (const { tableSizes, requests } of batches) {
          for (const size of tableSizes) {
            session.settings({ headerTableSize: size });
            encoder.setMaxTableSize((await client.tableSize())!);
          }
          for (const fields of requests) {
            client.request(requestBlock(encoder, fields));
            said.push([...PSEUDO, ...fields.map(([, name, value]): Field => [name, value])]);
            await client.answer();
          }
        }
        client.close();
        assert.deepEqual(heard, said);
      }),
      RUNS,
    );
  });

  test('what is refused here is refused there', async () => {
    onStream = (stream) => stream.respond({ ':status': 200 }, { endStream: true });
    for (const block of [
      '80',
      'be',
      '40',
      '8220',
      '3fe21f',
      '00016181ff',
      '0001618118',
      '00016184ffffffff',
    ]) {
      const bytes = block.startsWith('3f') ? bytesOf(block) : Buffer.concat([GET, bytesOf(block)]);
      assert.throws(() => decodeBlock(new HpackDecoder(), bytes));
      const client = await H2cClient.connect(port);
      client.request(bytes);
      assert.equal(await client.goaway(), constants.NGHTTP2_COMPRESSION_ERROR, block);
      client.close();
    }
  });
});

const PSEUDO: readonly Field[] = [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':authority', 'api.example'],
  [':path', '/index.html'],
];

function requestBlock(
  encoder: HpackEncoder,
  fields: readonly (readonly [string, string, string])[],
): Uint8Array {
  return written((out, start) => {
    let at = encoder.begin(out, start);
    for (const [name, value] of PSEUDO) at = encoder.indexed(out, at, name, value);
    for (const [kind, name, value] of fields) {
      if (kind === 'indexed') at = encoder.indexed(out, at, name, value);
      else if (kind === 'literal') at = encoder.literal(out, at, name, value);
      else at = encoder.neverIndexed(out, at, name, value.length);
      if (kind === 'never') at += out.write(value, at, 'latin1');
    }
    return at;
  });
}
