import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fromHex } from '../../../../shared/encoding/bytes.js';
import { IdIndex, NO_ROW } from '../../../../shared/memory/id-index.js';
import { KeyedHash } from '../../../../shared/memory/keyed-hash.js';
import { Slab } from '../../../../shared/memory/slab.js';

describe('slab', () => {
  test('rows start as zeros, keep what is written, and are zeros again after free', () => {
    const slab = new Slab({ rowBytes: 12, maxRows: 3 });
    const [a, b] = [slab.allocate()!, slab.allocate()!];
    slab.bytes(a, 4, 8).fill(7);
    slab.setU32(b, 0, 0xdeadbeef);
    slab.setU8(b, 4, 9);
    assert.equal(slab.u32(b, 0), 0xdeadbeef);
    assert.ok(slab.equals(a, 4, new Uint8Array(8).fill(7)));
    assert.ok(!slab.equals(b, 4, new Uint8Array(8).fill(7)));
    const view = slab.bytes(a, 4, 8);
    slab.free(a);
    assert.deepEqual([...view], Array(8).fill(0), 'overwritten');
    assert.equal(slab.allocate(), a);
    assert.deepEqual([...slab.bytes(a, 0, 12)], Array(12).fill(0));
    assert.equal(slab.u8(b, 4), 9);
  });

  test('gives no row beyond its limit', () => {
    const slab = new Slab({ rowBytes: 8, maxRows: 2 });
    const row = slab.allocate()!;
    assert.notEqual(slab.allocate(), undefined);
    assert.equal(slab.allocate(), undefined);
    slab.free(row);
    assert.equal(slab.allocate(), row);
    assert.equal(slab.size, 2);
  });

  test('rows of different chunks do not touch', () => {
    const slab = new Slab({ rowBytes: 4, maxRows: 70_000 });
    for (let i = 0; i < 70_000; i++) slab.setU32(slab.allocate()!, 0, i);
    for (let i = 0; i < 70_000; i += 997) assert.equal(slab.u32(i, 0), i);
    assert.equal(slab.reservedBytes, 3 * 32_768 * 4);
  });

  test('allocated rows are distinct, whatever was freed between', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(99), { maxLength: 200 }), (choices) => {
        const slab = new Slab({ rowBytes: 4, maxRows: 50 });
        const held: number[] = [];
        for (const choice of choices) {
          const row = choice < 60 ? slab.allocate() : undefined;
          if (row !== undefined) held.push(row);
          else if (held.length > 0) slab.free(held.splice(choice % held.length, 1)[0]!);
        }
        assert.equal(new Set(held).size, held.length);
        assert.equal(slab.size, held.length);
      }),
    );
  });
});

describe('keyed hash', () => {
  test('is HalfSipHash-2-4: reference vectors for key 00…07 and messages of 0 to 3 bytes 00, 01, …', () => {
    const hash = new KeyedHash(fromHex('0001020304050607')!);
    const vectors = ['a9359f5b', '27475ab8', 'fa62a603', '8afee704'];
    vectors.forEach((hex, length) => {
      const [a, b, c, d] = fromHex(hex)!;
      const expected = (a! | (b! << 8) | (c! << 16) | (d! << 24)) >>> 0;
      assert.equal(hash.of(Uint8Array.from({ length }, (_, i) => i)), expected);
    });
  });

  test('depends on the key', () => {
    const id = new Uint8Array(24).fill(5);
    assert.notEqual(new KeyedHash(new Uint8Array(8)).of(id), new KeyedHash(new Uint8Array(8).fill(1)).of(id));
  });
});

/** Rows whose identifier is their entry in `ids`. */
function indexOver(ids: Map<number, number>, hashOf: (id: number) => number) {
  const index = new IdIndex((row) => hashOf(ids.get(row)!));
  const find = (id: number): number[] => {
    const rows: number[] = [];
    for (let row = index.first(hashOf(id)); row !== NO_ROW; row = index.next(row)) {
      if (ids.get(row) === id) rows.push(row);
    }
    return rows.sort((a, b) => a - b);
  };
  return { index, find };
}

const spread = (id: number): number => Math.imul(id + 1, 0x9e3779b1) >>> 0;

describe('id index', () => {
  const commands = fc.array(fc.record({ row: fc.nat(40), id: fc.nat(9), add: fc.boolean() }), {
    maxLength: 300,
  });

  for (const [name, hashOf] of [
    ['spread hashes', spread],
    ['all hashes equal', () => 0xffff_ffff],
  ] as const) {
    test(`finds what a plain map holds: ${name}`, () => {
      fc.assert(
        fc.property(commands, (steps) => {
          const ids = new Map<number, number>();
          const { index, find } = indexOver(ids, hashOf);
          for (const { row, id, add } of steps) {
            if (add && !ids.has(row)) {
              ids.set(row, id);
              index.add(row);
            } else if (!add && ids.has(row)) {
              assert.ok(index.remove(row));
              ids.delete(row);
            }
          }
          for (let id = 0; id < 10; id++) {
            const expected = [...ids].filter(([, held]) => held === id).map(([row]) => row);
            assert.deepEqual(
              find(id),
              expected.sort((a, b) => a - b),
            );
          }
          assert.equal(index.size, ids.size);
        }),
      );
    });
  }

  test('grows through many splits and loses nothing', () => {
    const ids = new Map<number, number>();
    const { index, find } = indexOver(ids, spread);
    for (let row = 0; row < 20_000; row++) {
      ids.set(row, row * 3);
      index.add(row);
    }
    for (let row = 0; row < 20_000; row += 7) assert.deepEqual(find(row * 3), [row]);
    for (let row = 0; row < 20_000; row += 2) assert.ok(index.remove(row));
    for (let row = 0; row < 20_000; row++) assert.deepEqual(find(row * 3), row % 2 ? [row] : []);
  });

  test('says when a row is not in it', () => {
    const { index } = indexOver(new Map([[3, 1]]), spread);
    assert.equal(index.remove(3), false);
    assert.equal(index.first(1), NO_ROW);
  });
});
