/**
 * `npm run chaos -- --rounds 200 --seed 1`: things break at random at every hop while messages are written, and by
 * design §7 nothing may be lost. The last line says how much was; if any, the exit status is 1 and the lines before
 * name the seed, the round and what broke in it. `--from R --rounds 1` repeats round R of a seed.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../../shared/run/clock.js';
import { runCampaign, type Tally } from './campaign.js';
import { hopSequence } from './round.js';

const WORLDS = 4;
const MAX_SEED = 1_000_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function report(tally: Tally, seed: number, seconds: number): void {
  for (const [name, count] of [...tally.faults].sort()) say(`${String(count).padStart(6)}  ${name}`);
  say(`rounds: ${tally.rounds} in ${seconds} s, seed ${seed}; gateway started ${tally.gatewayStarts} times`);
  say(`messages: ${tally.sent}; told by an entry: ${tally.byEntry}, by a check: ${tally.byCheck}`);
  for (const { round, plan, lost, error } of tally.failures) {
    say(`FAILED round ${round} of seed ${seed}: ${hopSequence(plan)}`);
    for (const message of lost) say(`  never told: ${message}`);
    if (error !== undefined) say(`  ${String(error)}`);
  }
  say(`lost: ${tally.failures.reduce((sum, { lost }) => sum + lost.length, 0)}`);
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(systemClock.now() % MAX_SEED) },
    from: { type: 'string', default: '1' },
  },
});
const [rounds, seed, from] = [Number(values.rounds), Number(values.seed), Number(values.from)];
say(`chaos: ${rounds} rounds, seed ${seed}`);
const startedAt = systemClock.monotonic();
const tally = await runCampaign({ rounds, seed, from, worlds: WORLDS });
report(tally, seed, Math.round((systemClock.monotonic() - startedAt) / 1000));
if (tally.failures.length > 0) process.exitCode = 1;
