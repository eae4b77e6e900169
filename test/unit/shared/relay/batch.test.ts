import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { fromHex, toHex } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import {
  decodeAnswer,
  decodeBatch,
  encodeAnswer,
  encodeAnswers,
  encodeBatch,
  FRAME_KINDS,
  FRAME_SIZE,
  OUTCOMES,
  type OutcomeKind,
} from '../../../../shared/relay/batch.js';
import { ownVector } from '../../../support/paths.js';

interface BatchVector {
  readonly empty: string;
  readonly frames: readonly {
    readonly id: string;
    readonly kind: number;
    readonly urgency: number;
    readonly slot: number;
    readonly expiry: number;
    readonly capabilitySha256: string;
    readonly nonce: string;
    readonly payloadSha256: string;
  }[];
  readonly batch: string;
  readonly answers: readonly {
    readonly index: number;
    readonly outcome: number;
    readonly reason: number;
    readonly after: number;
    readonly capability?: string;
    readonly record: string;
  }[];
}

const v = ownVector<BatchVector>('relay-batch');
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const batch = () => fromHex(v.batch)!;

describe('batch', () => {
  test('decodes the fields of another encoder, and encodes the same bytes', () => {
    const frames = decodeBatch(batch());
    assert.deepEqual(
      frames.map((f) => ({
        id: toHex(f.id),
        kind: FRAME_KINDS.indexOf(f.kind),
        urgency: f.urgent ? 1 : 0,
        slot: f.slot,
        expiry: f.expiry,
        capabilitySha256: sha256(f.capability),
        nonce: toHex(f.nonce),
        payloadSha256: sha256(f.payload),
      })),
      v.frames,
    );
    assert.equal(toHex(encodeBatch(frames)), v.batch);
  });

  test('an empty batch is eight bytes', () => {
    assert.equal(toHex(encodeBatch([])), v.empty);
    assert.deepEqual(decodeBatch(fromHex(v.empty)!), []);
  });

  const refused: Record<string, (bytes: Uint8Array) => Uint8Array> = {
    'another version': (b) => b.fill(2, 0, 1),
    'a reserved byte': (b) => b.fill(1, 1, 2),
    'another frame size': (b) => b.fill(0xa1, 7, 8),
    'a wrong count': (b) => b.fill(3, 3, 4),
    'an unknown kind': (b) => b.fill(4, 8 + 16, 8 + 17),
    'an unknown urgency': (b) => b.fill(2, 8 + 17, 8 + 18),
    'a reserved byte of a frame': (b) => b.fill(1, 8 + 19, 8 + 20),
    'a missing byte': (b) => b.subarray(0, b.length - 1),
    'a trailing byte': (b) => Uint8Array.from([...b, 0]),
    'more than 256 frames': () => {
      const b = new Uint8Array(8 + 257 * FRAME_SIZE);
      b.set([1, 0, 1, 1, 0, 0, 0x0c, 0xa0]);
      return b;
    },
  };
  for (const [what, change] of Object.entries(refused)) {
    test(`refuses ${what}`, () => assert.throws(() => decodeBatch(change(batch())), DecodeError));
  }
});

describe('answer record', () => {
  const kinds = Object.keys(OUTCOMES) as OutcomeKind[];
  for (const a of v.answers) {
    test(`outcome ${a.outcome}, reason ${a.reason}`, () => {
      const { index, outcome } = decodeAnswer(fromHex(a.record)!);
      assert.equal(index, a.index);
      assert.equal(outcome.kind, kinds[a.outcome]);
      assert.equal(outcome.reason, OUTCOMES[outcome.kind][a.reason]);
      assert.equal(outcome.after, a.after);
      assert.equal(outcome.capability && toHex(outcome.capability), a.capability);
      assert.equal(toHex(encodeAnswer(index, outcome)), a.record);
    });
  }

  test('several stand one after another', () => {
    const all = v.answers.map((a) => a.record).join('');
    assert.equal(toHex(encodeAnswers(v.answers.map((a) => decodeAnswer(fromHex(a.record)!)))), all);
  });

  const good = fromHex(v.answers[0]!.record)!;
  const changed = (at: number, value: number) => Uint8Array.from(good).fill(value, at, at + 1);
  for (const [what, bytes] of [
    ['an unknown outcome', changed(2, 5)],
    ['an unknown reason', changed(3, 1)],
    ['another flag', changed(8, 2)],
    ['reserved bytes', changed(15, 1)],
    ['a short record', good.subarray(1)],
  ] as const) {
    test(`refuses ${what}`, () => assert.throws(() => decodeAnswer(bytes), DecodeError));
  }
});
