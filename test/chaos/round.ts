/** One round of chaos: messages are written while things break, everything is mended, and nobody may stay untold. */
import { sleep, systemClock } from '../../shared/run/clock.js';
import { holdsWithin, TooLong, within } from './bounded.js';
import { FAULTS, type Fault, OPENING_FAULTS } from './faults.js';
import type { Random } from './random.js';
import type { ChaosWorld } from './world.js';

/** In real time: when messages are written and things break. */
const TRAFFIC_MS = 250;
const MAX_FAULT_MS = 250;
const MAX_FAULTS = 3;
const MIN_MESSAGES = 3;
const MAX_MESSAGES = 10;
/** One round in so many begins with a subscriber that has forgotten everything. */
const OPENING_EVERY = 12;
/** In real time; a round that needs longer has failed. */
const BREAKING_MS = 40_000;
const SETTLE_MS = 40_000;
/** How long the world runs in real time between two leaps, at first and at most: a leap ends what is under way. */
const BREATH_MS = 60;
const LONG_BREATH_MS = 2_500;
/** Time that passes while the untold are waited for: back-offs first, then whole hours of budgets. */
const LEAPS_MS = [500, 1_000, 3_000, 10_000, 30_000, 60_000, 60_000, 300_000];
const HOUR_MS = 3_600_000;
/** Checks wait up to 20 minutes for their time and 20 for their budget: no flag of this round reaches the next. */
const REST_MS = [25 * 60_000, 25 * 60_000];

export interface PlannedFault {
  readonly fault: Fault;
  readonly atMs: number;
  readonly forMs: number;
}

export interface RoundPlan {
  readonly opening: Fault | undefined;
  readonly faults: readonly PlannedFault[];
  /** When each message is written, and which of the lines it goes to. */
  readonly messages: readonly { readonly atMs: number; readonly line: number }[];
  readonly random: Random;
}

/** Draws everything that will happen. */
export function planRound(random: Random, lines: number): RoundPlan {
  const opening = random.between(1, OPENING_EVERY) === 1 ? random.pick(OPENING_FAULTS) : undefined;
  const possible = opening ? FAULTS.filter(({ losesUnfollowed }) => !losesUnfollowed) : FAULTS;
  const faults: PlannedFault[] = [];
  for (let n = random.between(1, MAX_FAULTS); n > 0; n--) {
    const planned = {
      fault: random.pick(possible),
      atMs: random.between(0, TRAFFIC_MS),
      forMs: random.between(20, MAX_FAULT_MS),
    };
    // One thing breaks in one way at a time.
    if (!faults.some(({ fault }) => placeOf(fault) === placeOf(planned.fault))) faults.push(planned);
  }
  const messages = Array.from({ length: random.between(MIN_MESSAGES, MAX_MESSAGES) }, () => ({
    atMs: random.between(0, TRAFFIC_MS),
    line: random.between(0, lines - 1),
  }));
  return { opening, faults, messages, random: random.fork() };
}

/** In words, in the order of time. */
export function hopSequence({ opening, faults }: RoundPlan): string {
  const later = [...faults]
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ fault, atMs, forMs }) => `${fault.name} (at ${atMs} ms for ${forMs} ms)`);
  return [...(opening ? [`${opening.name} (at the beginning)`] : []), ...later].join(', ');
}

const placeOf = ({ name }: Fault): string => name.slice(0, name.indexOf(':'));

/** Resolves with the messages that no phone was told of. Rejects with `TooLong` where something did not end. */
export async function runRound(world: ChaosWorld, plan: RoundPlan): Promise<string[]> {
  await plan.opening?.start(world, plan.random);
  const breaking = plan.faults.map((planned) => happen(world, planned, plan.random));
  const writing = plan.messages.map(async ({ atMs, line }) => {
    await sleep(systemClock, atMs);
    await world.write(world.lines[line]!);
  });
  await within(BREAKING_MS, 'faults and messages', Promise.all([...breaking, ...writing]));
  await within(BREAKING_MS, 'reading', world.readAll());
  const lost = (await settle(world)) ? [] : world.accountant.untold();
  if (!world.isSettled) throw new TooLong('a phone did not come back');
  for (const ms of REST_MS) {
    await world.leap(ms);
    await sleep(systemClock, BREATH_MS);
  }
  world.accountant.close();
  return lost;
}

async function happen(
  world: ChaosWorld,
  { fault, atMs, forMs }: PlannedFault,
  random: Random,
): Promise<void> {
  await sleep(systemClock, atMs);
  const mend = await fault.start(world, random);
  await sleep(systemClock, forMs);
  await mend?.();
}

/** Whether everybody was told in the end. Time passes faster and faster while it is not so. */
async function settle(world: ChaosWorld): Promise<boolean> {
  const isDone = (): boolean => world.isSettled && world.accountant.untold().length === 0;
  const end = systemClock.monotonic() + SETTLE_MS;
  let breath = BREATH_MS;
  for (let n = 0; !(await holdsWithin(breath, isDone)); n++) {
    if (systemClock.monotonic() > end) return false;
    if (n >= LEAPS_MS.length) breath = Math.min(2 * breath, LONG_BREATH_MS);
    await world.leap(LEAPS_MS[n] ?? HOUR_MS);
  }
  return true;
}
