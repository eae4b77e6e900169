import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Mailbox } from '../../../../../services/subscriber/wake/mailbox.js';
import { MailboxPool } from '../../../../../services/subscriber/wake/mailbox-pool.js';

interface Model {
  readonly ref: number;
  readonly time: number;
  told: number | undefined;
  flying: boolean;
}

const serverOf = (ref: number) => ref % 3;
const step = fc.record({
  op: fc.constantFrom('put', 'put', 'put', 'put', 'send', 'accept', 'fail', 'age', 'drop'),
  ref: fc.nat(19),
  seconds: fc.nat(2000),
});

/** Design §5 in the plainest words. */
function evict(model: Model[], ref: number): Model {
  const counts = [0, 0, 0];
  for (const m of model) counts[serverOf(m.ref)]!++;
  counts[serverOf(ref)]!++;
  const most = Math.max(...counts);
  const fullest = model.filter((m) => counts[serverOf(m.ref)] === most);
  return fullest.find((m) => m.told !== undefined) ?? fullest[0]!;
}

test('the mailbox agrees with a list', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const pool = new MailboxPool(16);
      const box = new Mailbox(pool);
      let model: Model[] = [];
      let overflow = false;
      let now = 0;
      let time = 0;
      for (const { op, ref, seconds } of steps) {
        if (op === 'put') {
          const known = model.find((m) => m.ref === ref);
          if (known === undefined && model.length === 14) {
            const victim = evict(model, ref);
            overflow ||= victim.told === undefined;
            model = model.filter((m) => m !== victim);
          }
          model = model.filter((m) => m !== known);
          model.push({ ref, time: ++time, told: undefined, flying: false });
          const result = box.put(ref, serverOf(ref), time, new Uint8Array(24), new Uint8Array(144));
          assert.equal(result, known === undefined ? 'new' : 'replaced');
        } else if (op === 'send' && !model.some((m) => m.flying)) {
          const { entries, filler } = box.window(6);
          const told = model.filter((m) => m.told !== undefined);
          const untold = model.filter((m) => m.told === undefined).slice(0, 6);
          const expected = [...told.slice(Math.max(0, told.length - (6 - untold.length))), ...untold];
          assert.deepEqual(
            entries.map((e) => e.ref),
            expected.map((m) => m.ref),
          );
          assert.equal(filler, expected.length - untold.length);
          box.sent(entries);
          for (const m of expected) m.flying = true;
        } else if (op === 'accept' || op === 'fail') {
          for (const m of model) {
            if (m.flying && op === 'accept') m.told ??= now;
            m.flying = false;
          }
          if (op === 'accept') box.accepted(now);
          else box.failed();
        } else if (op === 'age') {
          now += seconds;
          model = model.filter((m) => m.told === undefined || m.told + 3600 > now);
          const times = model.flatMap((m) => (m.told === undefined ? [] : [m.told + 3600]));
          assert.equal(box.age(now), times.length === 0 ? undefined : Math.min(...times));
        } else if (op === 'drop') {
          model = model.filter((m) => m.ref !== ref);
          box.dropQueue(ref);
        }
        const all = box.window(14).entries;
        assert.deepEqual(
          all.map((e) => [e.ref, e.time]),
          model.map((m) => [m.ref, m.time]),
        );
        assert.equal(box.untold, model.filter((m) => m.told === undefined).length);
        assert.equal(box.overflow, overflow);
        assert.equal(pool.size, model.length);
      }
    }),
  );
});
