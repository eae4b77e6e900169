/** Row 6: a client's subscription with its NSUB, from the phone's block to the messaging server's confirmation. */
import { systemClock } from '../../../shared/run/clock.js';
import { median, type Row } from '../harness.js';
import { startSplit, subscribed } from '../world/split.js';

const DEVICES = 60;
const EACH = 50;
const ROUNDS = 4;

export const snew: Row = async () => {
  const world = await startSplit({ devices: DEVICES, gateway: { lean: true } });
  const [cpu, rates]: [number[], number[]] = [[], []];
  for (let round = 0; round <= ROUNDS; round++) {
    const count = await world.phones.call('prepare', EACH);
    const confirmed = (await world.smp.call('subscribed')) + count;
    const [before, begun] = [await world.subscriber.usage(), systemClock.monotonic()];
    await world.phones.call('subscribe');
    const ms = systemClock.monotonic() - begun;
    await subscribed(world, confirmed);
    const after = await world.subscriber.usage();
    if (round === 0) continue;
    cpu.push((after.cpuMicros - before.cpuMicros) / count);
    rates.push((count / ms) * 1000);
  }
  const note = `${DEVICES * EACH} a round over 8 connections of real clients, ${ROUNDS} rounds`;
  return [
    {
      row: 'SNEW with its NSUB, CPU each',
      value: median(cpu),
      unit: 'µs',
      target: { atMost: 300 },
      note,
    },
    {
      row: 'SNEW with its NSUB, per second',
      value: median(rates),
      unit: '/s',
      target: { atLeast: 3_000 },
    },
  ];
};
