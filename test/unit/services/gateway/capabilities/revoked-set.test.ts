import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RevokedSet } from '../../../../../services/gateway/capabilities/revoked-set.js';

const hash = (n: number) => new Uint8Array(20).fill(n);

describe('entries in memory', () => {
  test('behave as a map from hash to its latest time', () => {
    const entry = fc.record({ n: fc.nat(20), time: fc.integer({ min: 1, max: 50 }) });
    const property = fc.property(fc.array(entry, { maxLength: 60 }), fc.nat(50), (entries, over) => {
      const set = new RevokedSet(100);
      const model = new Map<number, number>();
      for (const { n, time } of entries) {
        // Several entries share a lookup hash.
        assert.equal(set.add({ lookup: n % 3, hash: hash(n), time }), false);
        model.set(n, Math.max(time, model.get(n) ?? 0));
      }
      set.expire(over);
      for (const [n, time] of model) if (time <= over) model.delete(n);
      assert.equal(set.size, model.size);
      for (let n = 0; n <= 20; n++) {
        const time = model.get(n) ?? 0;
        assert.equal(set.has(n % 3, hash(n), 25), time >= 25);
        const same = [...model].filter(([other]) => other % 3 === n % 3);
        assert.equal(
          set.mayHave(n % 3, 25),
          same.some(([, at]) => at >= 25),
        );
      }
    });
    fc.assert(property, { numRuns: 100 });
  });

  test('full, the oldest gives way', () => {
    const set = new RevokedSet(50);
    for (let n = 0; n < 50; n++) assert.equal(set.add({ lookup: n, hash: hash(n), time: 1_000 - n }), false);
    assert.equal(set.add({ lookup: 60, hash: hash(60), time: 2_000 }), true);
    assert.equal(set.size, 50);
    assert.equal(set.has(49, hash(49), 1), false);
    assert.equal(set.has(48, hash(48), 1) && set.has(60, hash(60), 2_000), true);
    assert.equal(set.add({ lookup: 48, hash: hash(48), time: 3_000 }), false, 'a known one needs no room');
  });
});
