/** A few rounds of chaos; `npm run chaos` runs as many as one likes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCampaign } from '../chaos/campaign.js';
import { hopSequence } from '../chaos/round.js';

test('random faults at every hop lose nothing', async () => {
  const tally = await runCampaign({ rounds: 6, seed: 3, from: 1, worlds: 2 });
  assert.deepEqual(
    tally.failures.map(({ plan, lost, error }) => [hopSequence(plan), lost, error]),
    [],
  );
  assert.equal(tally.rounds, 6);
  assert.equal(tally.byEntry + tally.byCheck, tally.sent);
  assert.ok(tally.byEntry > 0);
});
