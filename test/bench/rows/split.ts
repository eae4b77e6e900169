/** Row 4: pushes a second through the whole split, with Apple 20 ms away. */
import { median, type Row } from '../harness.js';
import { flow } from '../world/flow.js';
import { startSplit, subscribeAll } from '../world/split.js';

const DEVICES = 800;
/** Below the devices, so that none has two signals under way. */
const WINDOW = 400;
const PUSHES = 8_000;
const ROUNDS = 3;
const APPLE_MS = 20;

export const split: Row = async () => {
  const world = await startSplit({ devices: DEVICES, gateway: 'real', delayMs: APPLE_MS });
  const queues = await subscribeAll(world);
  await flow(world, PUSHES / 2, queues, WINDOW);
  const [subscriber, gateway] = [await world.subscriber.usage(), await world.gateway!.usage()];
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rates.push((PUSHES / (await flow(world, PUSHES, queues, WINDOW))) * 1000);
  }
  const each = (micros: number) => Math.round(micros / (ROUNDS * PUSHES));
  const subscriberMicros = each((await world.subscriber.usage()).cpuMicros - subscriber.cpuMicros);
  const gatewayMicros = each((await world.gateway!.usage()).cpuMicros - gateway.cpuMicros);
  return [
    {
      row: 'whole split, pushes per second',
      value: median(rates),
      unit: '/s',
      target: { atLeast: 3_000 },
      note: `${WINDOW} under way over ${DEVICES} devices, answers after ${APPLE_MS} ms; CPU each: subscriber ${subscriberMicros} µs, gateway ${gatewayMicros} µs`,
    },
  ];
};
