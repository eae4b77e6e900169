/** Every state and every event of a hand-over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EVENTS, next, STATES, type State } from '../../../../../services/subscriber/handover/states.js';

/** Columns: asked, proved, copied, committed, drained, failed. `·` can't happen and changes nothing. */
const TABLE: Readonly<Record<State, string>> = {
  serving: 'offering · · · · ·',
  offering: '· copying · · · serving',
  copying: '· · mirrored · · serving',
  mirrored: '· · · draining · serving',
  draining: '· · · · gone gone',
  gone: '· · · · · ·',
};

test('every state and event leads where the design says', () => {
  for (const state of STATES) {
    const row = EVENTS.map((event) => next(state, event) ?? '·').join(' ');
    assert.equal(row, TABLE[state], state);
  }
});

test('before the commit every failure leads back to serving, after it none does', () => {
  for (const state of ['offering', 'copying', 'mirrored'] as const)
    assert.equal(next(state, 'failed'), 'serving');
  for (const state of ['draining', 'gone'] as const) {
    for (const event of EVENTS) assert.notEqual(next(state, event), 'serving');
  }
});
