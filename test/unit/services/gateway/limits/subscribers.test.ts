/** What an operator said of a subscriber, and newcomers' common allowance. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Subscribers } from '../../../../../services/gateway/limits/subscribers.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';

const make = (capacity = 9) =>
  new Subscribers({
    clock: new VirtualClock(),
    capacity,
    rate: 10,
    newcomerRate: 1,
    requests: 2,
    newcomerRequests: 1,
    nonces: 5,
  });

test("the operator's word replaces what grows with devices", () => {
  const account = make().establish('a');
  for (let i = 0; i < 50; i++) account.sawDevice(0);
  assert.equal(account.enter(20, 0, { rate: 2, requests: 3 }), 0);
  assert.ok(account.enter(1, 0, { rate: 2, requests: 3 }) > 0, 'ten seconds of two');
  assert.equal(account.enter(1, 0), 0, 'without that word it is as before');
});

test('requests at once are as the operator said', () => {
  const account = make().establish('a');
  for (let i = 0; i < 3; i++) assert.equal(account.enter(1, 0, { requests: 3 }), 0);
  assert.equal(account.enter(1, 0, { requests: 3 }), 1);
});

test('a million identities leave nothing behind', () => {
  const subscribers = make();
  for (let i = 0; i < 1_000_000; i++) assert.equal(subscribers.account(`${i}`).established, false);
  assert.equal(subscribers.size, 0);
  assert.equal(subscribers.has('1'), false);
});

test('whether newcomers must wait is asked without taking anything', () => {
  const subscribers = make();
  assert.equal(subscribers.newcomersWait(0), 0);
  subscribers.account('a').enter(10, 0);
  assert.equal(subscribers.newcomersWait(0), 1);
  assert.equal(subscribers.newcomersWait(0), 1);
});
