import assert from 'node:assert/strict';
import { test } from 'node:test';
import { later, outcomeOf } from '../../../../../services/gateway/push/outcomes.js';
import { laterStep } from '../../../../../shared/relay/constants.js';

test('waits are rounded up to 1, 5, 20 or 60 minutes', () => {
  for (const [seconds, step] of [
    [0, 60],
    [60, 60],
    [61, 300],
    [300, 300],
    [301, 1200],
    [1201, 3600],
    [86_400, 3600],
  ] as const) {
    assert.equal(laterStep(seconds), step);
    assert.equal(later('budget', seconds).after, step);
  }
});

test('a proven device is dead for the reason that Apple gave, an unproven one is only bad', () => {
  for (const reason of ['bad', 'topic', 'expired', 'unregistered'] as const) {
    assert.equal(outcomeOf({ kind: 'dead', reason }, true).reason, reason);
    assert.equal(outcomeOf({ kind: 'dead', reason }, false).reason, 'bad');
  }
});
