/** Row 9: how long the services take to be ready, and what they hold when nothing happens. */
import { sleep, systemClock } from '../../../shared/run/clock.js';
import { type Figure, median, type Row } from '../harness.js';
import { startLeanApns } from '../world/apple.js';
import { type Prepared, prepareGateway, prepareSubscriber } from '../world/services.js';

const ROUNDS = 3;
const SETTLED_MS = 2_000;

export const start: Row = async () => {
  const prepared = await prepareGateway(await startLeanApns({ delayMs: 0 }));
  const gateway = await measure('gateway', prepared);
  await prepared.start();
  const subscriber = await measure('subscriber', await prepareSubscriber(prepared.address));
  return [...gateway, ...subscriber];
};

async function measure(name: string, service: Prepared): Promise<Figure[]> {
  const [times, sizes]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const begun = systemClock.monotonic();
    const child = await service.start();
    times.push(systemClock.monotonic() - begun);
    await sleep(systemClock, SETTLED_MS);
    sizes.push((await child.usage()).rssBytes / 2 ** 20);
    await child.stop();
  }
  return [
    { row: `${name}, start to ready`, value: median(times), unit: 'ms', target: { atMost: 500 } },
    { row: `${name}, idle memory`, value: median(sizes), unit: 'MB', target: { atMost: 90 } },
  ];
}
