import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EarlySignals } from '../../../../../../services/subscriber/sources/smp/early-signals.js';

const id = (n: number): Uint8Array => new Uint8Array(24).fill(n);
const signal = (n: number, told = n) => ({
  server: 1,
  notifierId: id(n),
  nonce: new Uint8Array(24).fill(told),
  metadata: new Uint8Array(144).fill(told),
});

test('the latest of a queue is given once, in memory of its own', () => {
  const early = new EarlySignals();
  const latest = signal(7, 2);
  assert.ok(early.keep(3, signal(7, 1)) && early.keep(3, latest));
  latest.metadata.fill(0);
  assert.deepEqual(early.take(3, 1, id(7)), signal(7, 2));
  assert.equal(early.take(3, 1, id(7)), undefined);
});

test('a row that another queue has by then gets none', () => {
  const early = new EarlySignals();
  early.keep(3, signal(7));
  assert.equal(early.take(3, 1, id(8)), undefined);
  early.keep(3, signal(7));
  assert.equal(early.take(3, 2, id(7)), undefined, 'the same id at another server');
  early.keep(3, signal(7));
  early.forget(3);
  assert.equal(early.take(3, 1, id(7)), undefined);
});

test('is bounded: full, it keeps what it has and takes no other queue', () => {
  const early = new EarlySignals();
  let kept = 0;
  while (early.keep(kept, signal(1))) kept++;
  assert.equal(kept, 10_000);
  assert.ok(early.keep(0, signal(2)), 'a later one of a queue that it has');
  assert.ok(early.take(9, 1, id(1)));
  assert.ok(early.keep(kept, signal(1)));
});
