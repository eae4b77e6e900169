/** Row 3: what a notification costs the subscriber: its inner parts alone, and the whole process. */
import { startParty } from '../children.js';
import { median, type Row } from '../harness.js';
import type { Wake } from '../parties/wake.js';
import { flow } from '../world/flow.js';
import { startSplit, subscribeAll } from '../world/split.js';

const INNER_DEVICES = 2_000;
const QUEUES = 24;
const DEVICES = 600;
const WINDOW = 300;
const SIGNALS = 6_000;
const ROUNDS = 4;

export const subscriber: Row = async () => [
  {
    row: 'subscriber, signal to frame, CPU each',
    value: await inner(),
    unit: 'µs',
    target: { atMost: 50 },
    note: `registry, mailbox, sealing over ${INNER_DEVICES} devices; a gateway that accepts at once`,
  },
  {
    row: 'subscriber, whole process, NMSG to request, CPU each',
    value: await whole(),
    unit: 'µs',
    target: { atMost: 50 },
    note: `TLS and block encryption in, signed HTTPS out; ${WINDOW} under way`,
  },
];

async function inner(): Promise<number> {
  const wake = await startParty<Wake>('wake');
  await wake.call('build', INNER_DEVICES, QUEUES, QUEUES);
  const rounds: number[] = [];
  for (let queue = 0; queue < QUEUES; queue++) {
    const { micros, pushes } = await wake.call('signal', queue);
    if (pushes !== INNER_DEVICES) throw new Error(`${pushes} pushes of ${INNER_DEVICES} signals`);
    rounds.push(micros / pushes);
  }
  await wake.stop();
  // Once warm: the first pushes also carry fewer told entries as filler.
  return median(rounds.slice(QUEUES / 2));
}

async function whole(): Promise<number> {
  const world = await startSplit({ devices: DEVICES, gateway: { lean: true } });
  const queues = await subscribeAll(world);
  await flow(world, SIGNALS, queues, WINDOW);
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = await world.subscriber.usage();
    await flow(world, SIGNALS, queues, WINDOW);
    rounds.push(((await world.subscriber.usage()).cpuMicros - before.cpuMicros) / SIGNALS);
  }
  return median(rounds);
}
