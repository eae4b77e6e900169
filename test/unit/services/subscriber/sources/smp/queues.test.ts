import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  emptyList,
  FLAG,
  type QueueEntry,
  QueueTable,
} from '../../../../../../services/subscriber/sources/smp/queues.js';
import type { Crypto } from '../../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../../shared/crypto/load.js';

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

const id = (n: number): Uint8Array => new Uint8Array(24).fill(n);

function entry(changes: Partial<QueueEntry> = {}): QueueEntry {
  const key = { algorithm: 'x25519', raw: new Uint8Array(32).fill(9) } as const;
  return { server: 1, spelling: 2, notifierId: id(3), key, ref: 4, ...changes };
}

describe('queue table', () => {
  test('keeps what it was given', () => {
    const table = new QueueTable(crypto, 10);
    const row = table.add(entry({ server: 20_000, spelling: 65_535, ref: 0xffff_ffff }))!;
    assert.equal(table.server(row), 20_000);
    assert.equal(table.spelling(row), 65_535);
    assert.equal(table.ref(row), 0xffff_ffff);
    assert.deepEqual(Uint8Array.from(table.notifierId(row)), id(3));
    assert.deepEqual(table.status(row), { kind: 'pending' });
    assert.ok(table.isUnreported(row));
    assert.ok(table.setStatus(row, { kind: 'pending' }) && !table.setStatus(row, { kind: 'pending' }));
    assert.ok(table.setStatus(row, { kind: 'error', word: 'SMP error CMD SYNTAX' }));
    assert.deepEqual(table.status(row), { kind: 'error', word: 'SMP error CMD SYNTAX' });
  });

  test('keeps an Ed25519 key ready to sign with, and the others as they are', () => {
    const table = new QueueTable(crypto, 10);
    const seed = crypto.randomBytes(32);
    const row = table.add(entry({ key: { algorithm: 'ed25519', raw: seed } }))!;
    const pair = crypto.ed25519KeyPair(seed);
    assert.deepEqual(Uint8Array.from(table.key(row).raw), Uint8Array.from(pair.privateKey));
    const ed448 = { algorithm: 'ed448', raw: crypto.randomBytes(57) } as const;
    assert.deepEqual(Uint8Array.from(table.key(table.add(entry({ key: ed448 }))!).raw), ed448.raw);
  });

  test('says who holds a key', () => {
    const table = new QueueTable(crypto, 10);
    for (const [algorithm, length] of [
      ['ed25519', 32],
      ['ed448', 57],
      ['x25519', 32],
    ] as const) {
      const key = { algorithm, raw: crypto.randomBytes(length) };
      const row = table.add(entry({ key }))!;
      assert.ok(table.holds(row, key));
      assert.ok(!table.holds(row, { algorithm, raw: crypto.randomBytes(length) }));
      assert.ok(
        !table.holds(row, { algorithm: algorithm === 'x25519' ? 'ed25519' : 'x25519', raw: key.raw }),
      );
    }
  });

  test('forgetting overwrites the key and finds the entry no more; freeing overwrites the rest', () => {
    const table = new QueueTable(crypto, 10);
    const row = table.add(entry())!;
    const [key, notifierId] = [table.key(row).raw, table.notifierId(row)];
    table.forget(row);
    assert.ok(key.every((byte) => byte === 0));
    assert.deepEqual(table.entries(1, id(3)), []);
    table.free(row);
    assert.ok(notifierId.subarray(4).every((byte) => byte === 0)); // the first bytes link free rows
  });

  test('several entries may name one queue; one of them is confirmed', () => {
    const table = new QueueTable(crypto, 10);
    const rows = [1, 2, 3].map((ref) => table.add(entry({ ref }))!);
    const elsewhere = table.add(entry({ server: 2 }))!;
    assert.equal(table.confirmed(1, id(3)), undefined);
    table.set(rows[1]!, FLAG.confirmed, true);
    table.set(elsewhere, FLAG.confirmed, true);
    assert.equal(table.confirmed(1, id(3)), rows[1]);
    assert.equal(table.confirmed(2, id(3)), elsewhere);
    assert.deepEqual(new Set(table.entries(1, id(3))), new Set(rows));
    assert.deepEqual(table.entries(1, new Uint8Array(23)), []);
  });

  test('is full at its limit', () => {
    const table = new QueueTable(crypto, 1);
    assert.notEqual(table.add(entry()), undefined);
    assert.equal(table.add(entry()), undefined);
  });

  test('costs at most 120 bytes a queue', () => {
    const table = new QueueTable(crypto, 70_000);
    for (let i = 0; i < 65_536; i++) table.add(entry());
    assert.ok(table.reservedBytes / 65_536 + 8 <= 120);
  });

  test('behaves as plain maps and arrays do', () => {
    const step = fc.record({
      what: fc.constantFrom('add', 'forget', 'move', 'confirm'),
      id: fc.nat(5),
      server: fc.nat(1),
      pick: fc.nat(1000),
      list: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = new QueueTable(crypto, 40);
        const lists = [emptyList(), emptyList(), emptyList()];
        const model = new Map<number, { id: number; server: number; list: number; confirmed: boolean }>();
        const order: number[][] = [[], [], []];
        for (const s of steps) {
          const rows = [...model.keys()];
          const row = rows[s.pick % Math.max(1, rows.length)];
          if (s.what === 'add') {
            const added = table.add(entry({ server: s.server, notifierId: id(s.id) }));
            assert.equal(added === undefined, model.size === 40);
            if (added === undefined) continue;
            table.append(lists[s.list]!, s.list, added);
            model.set(added, { id: s.id, server: s.server, list: s.list, confirmed: false });
            order[s.list]!.push(added);
          } else if (row !== undefined) {
            const known = model.get(row)!;
            if (s.what === 'confirm') {
              table.set(row, FLAG.confirmed, true);
              known.confirmed = true;
              continue;
            }
            assert.equal(table.listOf(row), known.list);
            table.unlink(lists[known.list]!, row);
            order[known.list] = order[known.list]!.filter((other) => other !== row);
            if (s.what === 'move') {
              table.append(lists[s.list]!, s.list, row);
              order[s.list]!.push(row);
              known.list = s.list;
            } else {
              table.forget(row);
              table.free(row);
              model.delete(row);
            }
          }
        }
        for (const server of [0, 1]) {
          for (let n = 0; n < 6; n++) {
            const expected = [...model]
              .filter(([, m]) => m.id === n && m.server === server)
              .map(([row]) => row);
            assert.deepEqual(
              table.entries(server, id(n)).sort((a, b) => a - b),
              expected.sort((a, b) => a - b),
            );
            const confirmed = table.confirmed(server, id(n));
            if (confirmed === undefined) assert.ok(expected.every((row) => !model.get(row)!.confirmed));
            else assert.ok(model.get(confirmed)!.confirmed && expected.includes(confirmed));
          }
        }
        for (const [number, list] of lists.entries()) {
          const seen: number[] = [];
          while (list.head !== 0) {
            seen.push(list.head - 1);
            table.unlink(list, list.head - 1);
          }
          assert.deepEqual(seen, order[number]);
          assert.deepEqual(list, emptyList());
        }
        assert.equal(table.size, model.size);
      }),
      { numRuns: 200 },
    );
  });
});
