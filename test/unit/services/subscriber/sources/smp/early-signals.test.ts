import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type EarlySignal,
  EarlySignals,
} from '../../../../../../services/subscriber/sources/smp/early-signals.js';

const id = (n: number): Uint8Array => new Uint8Array(24).fill(n);
const signal = (n: number, told = n) => ({
  server: 1,
  notifierId: id(n),
  nonce: new Uint8Array(24).fill(told),
  metadata: new Uint8Array(144).fill(told),
});

function setUp() {
  let held = 0;
  const early = new EarlySignals({
    set: (value) => {
      held = value;
    },
  });
  const kept: EarlySignal[] = [];
  /** What a row gets, as it is while it may be used. */
  const take = (row: number, server: number, notifierId: Uint8Array) => {
    let taken: EarlySignal | undefined;
    early.take(row, server, notifierId, (given) => {
      kept.push(given);
      taken = {
        ...given,
        notifierId: given.notifierId.slice(),
        nonce: given.nonce.slice(),
        metadata: given.metadata.slice(),
      };
    });
    return taken;
  };
  return { early, take, kept, held: () => held };
}

test('the latest of a queue is given once, in memory of its own that is overwritten then', () => {
  const { early, take, kept, held } = setUp();
  const latest = signal(7, 2);
  assert.ok(early.keep(3, signal(7, 1)) && early.keep(3, latest));
  latest.metadata.fill(0);
  assert.equal(held(), 1);
  assert.deepEqual(take(3, 1, id(7)), signal(7, 2));
  assert.equal(take(3, 1, id(7)), undefined);
  assert.equal(held(), 0);
  for (const { notifierId, nonce, metadata } of kept) {
    for (const bytes of [notifierId, nonce, metadata]) assert.ok(bytes.every((byte) => byte === 0));
  }
});

test('a row that another queue has by then gets none', () => {
  const { early, take } = setUp();
  early.keep(3, signal(7));
  assert.equal(take(3, 1, id(8)), undefined);
  early.keep(3, signal(7));
  assert.equal(take(3, 2, id(7)), undefined, 'the same id at another server');
  early.keep(3, signal(7));
  early.forget(3);
  assert.equal(take(3, 1, id(7)), undefined);
});

test('is bounded: full, it keeps what it has and takes no other queue', () => {
  const { early, take, held } = setUp();
  let kept = 0;
  while (early.keep(kept, signal(1))) kept++;
  assert.deepEqual([kept, held()], [10_000, 10_000]);
  assert.ok(early.keep(0, signal(2)), 'a later one of a queue that it has');
  assert.ok(take(9, 1, id(1)));
  assert.ok(early.keep(kept, signal(1)));
});
