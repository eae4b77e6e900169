/** HPACK against a plain model of its tables: whatever a peer may write is read, and what we write a peer can read. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HpackDecoder } from '../../../../../services/gateway/apns/http2/hpack/decoder.js';
import {
  HpackEncoder,
  MAX_BEGIN_SIZE,
  MAX_FIELD_OVERHEAD,
} from '../../../../../services/gateway/apns/http2/hpack/encoder.js';
import { writeInteger } from '../../../../../services/gateway/apns/http2/hpack/integer.js';
import { STATIC_TABLE } from '../../../../../services/gateway/apns/http2/hpack/static-table.js';
import { DecodeError } from '../../../../../shared/encoding/reader.js';
import { decodeBlock, type Field, stringLiteral, written } from '../../../../support/apns/hpack.js';

const RUNS = { numRuns: process.env.SLOW ? 5_000 : 300 };
const MAX_TABLE = 4096;

/** Few names and values, so that they meet again; and any bytes. */
const bytes = fc
  .uint8Array({ maxLength: 40 })
  .map((all) => Buffer.from(all.buffer, all.byteOffset, all.length).toString('latin1'));
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(':status', ':path', 'date', 'apns-id', 'a', 'b') },
  bytes,
);
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('', '200', '/', 'x', 'y', 'z'.repeat(60)) },
  bytes,
);
const tableSize = fc.oneof(fc.nat(200), fc.nat(MAX_TABLE));

/** A peer that may choose every representation; its table is an array, newest first. */
interface Choice {
  readonly field: Field;
  readonly kind: 'indexed' | 'incremental' | 'without' | 'never';
  readonly byIndex: boolean;
  readonly huffman: readonly [name: boolean, value: boolean];
}
const choice: fc.Arbitrary<Choice> = fc.record({
  field: fc.tuple(name, value),
  kind: fc.constantFrom('indexed', 'incremental', 'without', 'never'),
  byIndex: fc.boolean(),
  huffman: fc.tuple(fc.boolean(), fc.boolean()),
});
const block = fc.record({
  sizes: fc.array(tableSize, { maxLength: 2 }),
  fields: fc.array(choice, { maxLength: 12 }),
});

const integer = (pattern: number, bits: number, n: number): Uint8Array =>
  written((out, at) => writeInteger(out, at, pattern, bits, n));

class ModelPeer {
  private table: Field[] = [];
  private maxSize = MAX_TABLE;

  block(sizes: readonly number[], fields: readonly Choice[]): Uint8Array {
    return Buffer.concat([
      ...sizes.map((size) => this.resize(size)),
      ...fields.map((field) => this.write(field)),
    ]);
  }

  private resize(size: number): Uint8Array {
    this.maxSize = size;
    this.evict();
    return integer(0x20, 5, size);
  }

  private write({ field, kind, byIndex, huffman }: Choice): Uint8Array {
    const all: Field[] = [...STATIC_TABLE.map((entry): Field => [entry.name, entry.value]), ...this.table];
    const whole = all.findIndex(([n, v]) => n === field[0] && v === field[1]);
    if (kind === 'indexed' && whole >= 0) return integer(0x80, 7, whole + 1);
    const [pattern, bits] = kind === 'without' ? [0, 4] : kind === 'never' ? [0x10, 4] : [0x40, 6];
    const named = byIndex ? all.findLastIndex(([n]) => n === field[0]) + 1 : 0;
    if (pattern === 0x40) {
      this.table.unshift(field);
      this.evict();
    }
    const head = integer(pattern, bits, named);
    const ownName = named === 0 ? stringLiteral(field[0], huffman[0]) : new Uint8Array();
    return Buffer.concat([head, ownName, stringLiteral(field[1], huffman[1])]);
  }

  private evict(): void {
    const size = (): number => this.table.reduce((sum, [n, v]) => sum + n.length + v.length + 32, 0);
    while (size() > this.maxSize) this.table.pop();
  }
}

const harmless = (run: () => unknown): void => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error));
  }
};

describe('HPACK', () => {
  test('reads every way to write a field, through evictions and changes of size', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 12 }), (blocks) => {
        const peer = new ModelPeer();
        const decoder = new HpackDecoder();
        for (const { sizes, fields } of blocks) {
          assert.deepEqual(
            decodeBlock(decoder, peer.block(sizes, fields)),
            fields.map(({ field }) => field),
          );
        }
      }),
      RUNS,
    );
  });

  test('reports the same of wanted fields when it leaves out the others', () => {
    const wanted = new Set(['date', 'a']);
    fc.assert(
      fc.property(fc.array(block, { maxLength: 8 }), (blocks) => {
        const peer = new ModelPeer();
        const decoder = new HpackDecoder({ wanted });
        for (const { sizes, fields } of blocks) {
          assert.deepEqual(
            decodeBlock(decoder, peer.block(sizes, fields)),
            fields.map(({ field }) => field).filter(([name]) => wanted.has(name)),
          );
        }
      }),
      RUNS,
    );
  });

  test('reads what it writes, within the bounds, whatever sizes a peer sets', () => {
    const kind = fc.constantFrom('indexed', 'literal', 'never');
    const request = fc.record({
      sizes: fc.array(fc.oneof(tableSize, fc.constant(65_536)), { maxLength: 3 }),
      fields: fc.array(fc.tuple(kind, name, value), { maxLength: 12 }),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 12 }), (requests) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder();
        for (const { sizes, fields } of requests) {
          for (const size of sizes) encoder.setMaxTableSize(size);
          const parts = [written((out, at) => encoder.begin(out, at), MAX_BEGIN_SIZE)];
          for (const [kind, name, value] of fields) parts.push(encodeField(encoder, kind, name, value));
          assert.deepEqual(
            decodeBlock(decoder, Buffer.concat(parts)),
            fields.map(([, name, value]) => [name, value]),
          );
        }
      }),
      RUNS,
    );
  });

  test('random and damaged blocks throw only DecodeError', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (inputs) => {
        const decoder = new HpackDecoder({ maxListSize: 1000 });
        for (const input of inputs) harmless(() => decodeBlock(decoder, input));
      }),
      RUNS,
    );
    fc.assert(
      fc.property(fc.array(block, { maxLength: 5 }), fc.nat(), fc.nat(255), (blocks, place, byte) => {
        const peer = new ModelPeer();
        const decoder = new HpackDecoder();
        for (const { sizes, fields } of blocks) {
          const input = peer.block(sizes, fields);
          if (input.length > 0) input[place % input.length] = byte;
          harmless(() => decodeBlock(decoder, input));
        }
      }),
      RUNS,
    );
  });
});

function encodeField(encoder: HpackEncoder, kind: string, name: string, value: string): Buffer {
  const room = name.length + value.length + MAX_FIELD_OVERHEAD;
  return written((out, start) => {
    if (kind === 'indexed') return encoder.indexed(out, start, name, value);
    if (kind === 'literal') return encoder.literal(out, start, name, value);
    const at = encoder.neverIndexed(out, start, name, value.length);
    return at + out.write(value, at, 'latin1');
  }, room);
}
