import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Deadlines, type Waiting } from '../../../../shared/memory/deadlines.js';
import { VirtualClock } from '../../../../shared/run/clock.js';

interface Item extends Waiting {
  readonly name: number;
}
const item = (name: number): Item => ({ name, dueAt: 0, place: -1 });

test('items run when they are due, in order, on one timer', async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const deadlines = new Deadlines<Item>(clock, ({ name }) => seen.push(`${name}@${clock.monotonic()}`));
  const [a, b, c] = [item(1), item(2), item(3)];
  deadlines.set(a, 300);
  deadlines.set(b, 100);
  deadlines.set(c, 200);
  assert.equal(clock.pending, 1);
  deadlines.delete(c);
  deadlines.delete(c);
  deadlines.set(a, 50);
  await clock.advance(1_000);
  assert.deepEqual(seen, ['1@50', '2@100']);
  assert.equal(deadlines.size, 0);
});

test('an item may put itself back, also as due at once', async () => {
  const clock = new VirtualClock();
  let runs = 0;
  const deadlines = new Deadlines<Item>(clock, (it) => {
    runs++;
    if (runs < 5) deadlines.set(it, clock.monotonic());
  });
  deadlines.set(item(1), 10);
  await clock.advance(10);
  assert.equal(runs, 5);
});

test('any sequence of set, delete and time agrees with a plain list', async () => {
  const step = fc.record({
    op: fc.constantFrom('set', 'set', 'delete', 'pass'),
    item: fc.nat(7),
    ms: fc.nat(50),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const clock = new VirtualClock();
      const items = Array.from({ length: 8 }, (_, i) => item(i));
      const expected = new Map<number, number>();
      const deadlines = new Deadlines<Item>(clock, ({ name, dueAt }) => {
        assert.equal(expected.get(name), dueAt);
        assert.ok(clock.monotonic() >= dueAt);
        expected.delete(name);
      });
      for (const { op, item: i, ms } of steps) {
        if (op === 'set') {
          expected.set(i, clock.monotonic() + ms);
          deadlines.set(items[i]!, clock.monotonic() + ms);
        } else if (op === 'delete') {
          expected.delete(i);
          deadlines.delete(items[i]!);
        } else await clock.advance(ms);
        for (const dueAt of expected.values()) assert.ok(dueAt >= clock.monotonic() || op !== 'pass');
        assert.equal(deadlines.size, expected.size);
      }
    }),
    { numRuns: 25 },
  );
});
