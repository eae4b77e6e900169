import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AnswerStream } from '../../../../../services/subscriber/outbound/answers.js';
import { concat } from '../../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../../shared/encoding/reader.js';
import { ANSWER_SIZE, encodeAnswer, type Outcome } from '../../../../../shared/relay/batch.js';

const accepted: Outcome = { kind: 'accepted', reason: 'none', after: 0 };

function collect(): { stream: AnswerStream; indexes: number[] } {
  const indexes: number[] = [];
  return { stream: new AnswerStream(256, (index) => indexes.push(index)), indexes };
}

describe('streamed answers', () => {
  test('records come out in any chunking', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(255), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 700 })),
        (order, cuts) => {
          const bytes = concat(...order.map((index) => encodeAnswer(index, accepted)));
          const { stream, indexes } = collect();
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            stream.feed(bytes.slice(at, at + cut));
            at += cut;
          }
          assert.deepEqual(indexes, order);
        },
      ),
    );
  });

  test('a record is handed on with its last byte, not before', () => {
    const { stream, indexes } = collect();
    const record = encodeAnswer(7, accepted);
    for (const byte of record.subarray(0, ANSWER_SIZE - 1)) stream.feed(Uint8Array.of(byte));
    assert.deepEqual(indexes, []);
    stream.feed(record.subarray(ANSWER_SIZE - 1));
    assert.deepEqual(indexes, [7]);
  });

  test('what is no record is refused', () => {
    assert.throws(() => collect().stream.feed(new Uint8Array(ANSWER_SIZE).fill(255)), DecodeError);
  });

  test('a second record of a frame, or one of no frame, is refused', () => {
    const stream = new AnswerStream(2, () => {});
    stream.feed(encodeAnswer(1, accepted));
    assert.throws(() => stream.feed(encodeAnswer(1, accepted)), DecodeError);
    assert.throws(() => stream.feed(encodeAnswer(2, accepted)), DecodeError);
  });

  test('a renewed capability outlives the buffer it came in', () => {
    const capability = new Uint8Array(256).fill(9);
    let kept: Outcome | undefined;
    const stream = new AnswerStream(1, (_, outcome) => {
      kept = outcome;
    });
    const bytes = encodeAnswer(0, { ...accepted, capability });
    stream.feed(bytes);
    bytes.fill(0);
    stream.end();
    assert.deepEqual(kept?.capability, capability);
  });
});
