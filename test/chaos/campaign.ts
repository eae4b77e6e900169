/** Many rounds in a few worlds side by side, since most of a round is waiting; and what came of them. */
import { Random } from './random.js';
import { planRound, type RoundPlan, runRound } from './round.js';
import { ChaosWorld } from './world.js';

/** A world lives for so many rounds at most, each an hour or more of its clock. */
const ROUNDS_OF_A_WORLD = 50;
/** Further rounds would only repeat the same failure. */
const MAX_FAILURES = 3;

export interface CampaignOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Number of the first round. */
  readonly from: number;
  /** Worlds at once. */
  readonly worlds: number;
}

export interface Failure {
  readonly round: number;
  readonly plan: RoundPlan;
  /** Messages that no phone was told of. */
  readonly lost: readonly string[];
  readonly error?: unknown;
}

export interface Tally {
  readonly failures: Failure[];
  /** How often each fault happened. */
  readonly faults: Map<string, number>;
  rounds: number;
  sent: number;
  byEntry: number;
  byCheck: number;
  gatewayStarts: number;
}

/** Everything that is chosen in a round follows from the seed and the round's number. */
const randomOf = (seed: number, round: number): Random => new Random(Math.imul(seed, 0x9e3779b1) + round);

/** Rejects only where a world can't be started. */
export async function runCampaign({ rounds, seed, from, worlds }: CampaignOptions): Promise<Tally> {
  const tally: Tally = {
    failures: [],
    faults: new Map(),
    rounds: 0,
    sent: 0,
    byEntry: 0,
    byCheck: 0,
    gatewayStarts: 0,
  };
  const left = Array.from({ length: rounds }, (_, n) => from + n);
  const share = Math.min(ROUNDS_OF_A_WORLD, Math.ceil(rounds / worlds));
  const inhabit = async (): Promise<void> => {
    while (left.length > 0 && tally.failures.length < MAX_FAILURES) {
      await runWorld(left.splice(0, share), seed, tally);
    }
  };
  await Promise.all(Array.from({ length: worlds }, inhabit));
  return tally;
}

async function runWorld(rounds: readonly number[], seed: number, tally: Tally): Promise<void> {
  const world = await ChaosWorld.start();
  try {
    for (const round of rounds) {
      if (tally.failures.length >= MAX_FAILURES) break;
      const plan = planRound(randomOf(seed, round), world.lines.length);
      count(plan, tally);
      const failure = await failureOf(world, round, plan);
      if (failure) tally.failures.push(failure);
      if (failure?.error !== undefined) break; // nobody knows what state this world is in
    }
  } finally {
    const { sent, byEntry, byCheck } = world.accountant.total();
    tally.sent += sent;
    tally.byEntry += byEntry;
    tally.byCheck += byCheck;
    tally.gatewayStarts += world.gateway.starts;
    await world.close();
  }
}

async function failureOf(world: ChaosWorld, round: number, plan: RoundPlan): Promise<Failure | undefined> {
  try {
    const lost = await runRound(world, plan);
    return lost.length > 0 ? { round, plan, lost } : undefined;
  } catch (error) {
    return { round, plan, lost: world.accountant.untold(), error };
  }
}

function count({ opening, faults }: RoundPlan, tally: Tally): void {
  tally.rounds++;
  for (const { name } of [...(opening ? [opening] : []), ...faults.map(({ fault }) => fault)]) {
    tally.faults.set(name, (tally.faults.get(name) ?? 0) + 1);
  }
}
