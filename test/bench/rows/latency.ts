/** Row 8: how long a notification takes on an idle line, from the messaging server's write to Apple. */
import { sleep, systemClock } from '../../../shared/run/clock.js';
import { percentile, type Row } from '../harness.js';
import { flow } from '../world/flow.js';
import { startSplit, subscribeAll } from '../world/split.js';

const DEVICES = 200;
const SAMPLES = 200;
/** A service that has run for a while; what the first pushes cost is another question. */
const WARM_UP = 3_000;
const WARM_UP_WINDOW = 50;
/** Long enough for everything to be idle again. */
const PAUSE_MS = 40;

export const latency: Row = async () => {
  const world = await startSplit({ devices: DEVICES, gateway: 'real', delayMs: 0 });
  const queues = await subscribeAll(world);
  await flow(world, WARM_UP, queues, WARM_UP_WINDOW);
  const apple = world.apple!;
  await apple.process.call('watch', 'requests');
  const samples: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const arrival = new Promise<bigint>((resolve) => {
      apple.listen((event) => {
        if (event.kind === 'request') resolve(event.at);
      });
    });
    const sentAt = await world.smp.call('notify', 1, queues);
    samples.push(Number((await arrival) - sentAt) / 1e6);
    await sleep(systemClock, PAUSE_MS + Math.random() * PAUSE_MS);
  }
  const note = `${SAMPLES} samples through real processes and TLS on loopback`;
  return [
    {
      row: 'NMSG to request at Apple, idle line, p50',
      value: percentile(samples, 50),
      unit: 'ms',
      target: { atMost: 3 },
      note,
    },
    {
      row: 'NMSG to request at Apple, idle line, p99',
      value: percentile(samples, 99),
      unit: 'ms',
      target: { atMost: 15 },
    },
  ];
};
