import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import type { Frame, Outcome } from '../../../../../shared/relay/batch.js';
import { ACCEPTED, later, UNAVAILABLE } from '../../../../support/fake-link.js';
import { wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const HOUR = 3_600_000;

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('signal' as const), ref: fc.nat(30) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('pass' as const), ms: fc.nat(90_000) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('answer' as const),
      outcome: fc.constantFrom<Outcome>(ACCEPTED, ACCEPTED, later(60), later(300), UNAVAILABLE),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('link' as const), up: fc.boolean() }) },
);

const style = fc.record({
  profile: fc.constantFrom('simplex' as const, 'porchlight' as const),
  mode: fc.constantFrom('mutable' as const, 'mutable' as const, 'background' as const, 'alert' as const),
  class: fc.constantFrom('message' as const, 'message' as const, 'update' as const),
  coalesceMs: fc.constantFrom(0, 1000, 300_000),
  delayMs: fc.constantFrom(0, 0, 60_000),
});

test('whatever the gateway answers, each signal is told in the end, by its entry, a flag or a check', async () => {
  await fc.assert(
    fc.asyncProperty(
      style,
      fc.boolean(),
      fc.array(step, { maxLength: 80 }),
      async (chosen, onlyServer, steps) => {
        const rig = wakeRig(crypto, { style: chosen, onlyServer });
        const device = await rig.active(1);
        /** Queues with a signal that no accepted push has told. */
        const untold = new Set<number>();
        /** Queues with a signal later than the push in flight. */
        const signalledSince = new Set<number>();
        let answered = 0;
        const toldBy = (frame: Frame): readonly number[] => {
          if (frame.kind === 'alert') return [];
          if (frame.kind === 'check') return [...untold];
          const isFlagged = chosen.profile === 'porchlight' && rig.push(device, frame).overflow;
          return isFlagged ? [...untold] : rig.opened(device, frame);
        };
        const answer = async (outcome: Outcome) => {
          const push = rig.link.sent[answered];
          if (push === undefined) return;
          answered++;
          const carried = toldBy(push.frame);
          const fresh = carried.filter((ref) => !signalledSince.has(ref));
          if (outcome.kind === 'accepted') for (const ref of fresh) untold.delete(ref);
          if (outcome.kind === 'unavailable') rig.link.setAvailable(false);
          push.answer(outcome);
          await rig.clock.advance(0);
          signalledSince.clear();
        };
        for (const s of steps) {
          if (s.op === 'signal') {
            if (rig.link.sent.length > answered) signalledSince.add(s.ref);
            untold.add(s.ref);
            rig.signal(device, s.ref);
          } else if (s.op === 'pass') await rig.clock.advance(s.ms);
          else if (s.op === 'answer') await answer(s.outcome);
          else rig.link.setAvailable(s.up);
          assert.ok(rig.link.sent.length <= answered + 1, 'one push in flight');
        }
        rig.link.setAvailable(true);
        for (let n = 0; n < 10; n++) {
          await answer(ACCEPTED);
          await rig.clock.advance(HOUR);
        }
        assert.deepEqual([...untold], []);
      },
    ),
    { numRuns: 120 },
  );
});
