import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { readBody } from '../../../../../services/gateway/http/body.js';
import { DecodeError } from '../../../../../shared/encoding/reader.js';

/** A request of which only the stream is there. */
function incoming(): { stream: PassThrough; body: (length: number) => Promise<Uint8Array> } {
  const stream = new PassThrough();
  return { stream, body: (length) => readBody(stream as unknown as IncomingMessage, length) };
}

const chunk = (...bytes: number[]): Buffer => Buffer.from(bytes);

describe('the body of a request', () => {
  test('is the chunks in one array, and nothing is left in them', async () => {
    const { stream, body } = incoming();
    const chunks = [chunk(1, 2), chunk(3)];
    const read = body(3);
    for (const each of chunks) stream.write(each);
    stream.end();
    assert.deepEqual(await read, Uint8Array.of(1, 2, 3));
    assert.deepEqual(Buffer.concat(chunks), chunk(0, 0, 0));
  });

  test('may be empty', async () => {
    const { stream, body } = incoming();
    stream.end();
    assert.deepEqual(await body(0), new Uint8Array(0));
  });

  test('of another length than announced is refused', async () => {
    for (const length of [2, 4]) {
      const { stream, body } = incoming();
      stream.end(chunk(1, 2, 3));
      await assert.rejects(body(length), DecodeError);
    }
  });

  test('that does not come whole is refused, also where its peer went before it was asked for', async () => {
    for (const error of [undefined, new Error('reset')]) {
      const { stream, body } = incoming();
      const read = body(3);
      stream.write(chunk(1, 2, 3));
      stream.destroy(error);
      await assert.rejects(read, DecodeError);
      await assert.rejects(body(3), DecodeError);
    }
  });
});
