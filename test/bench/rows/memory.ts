/** Row 7: memory of a subscription, quiet and with full mailboxes, and how it grows with their number. */
import { startParty } from '../children.js';
import type { Figure, Row } from '../harness.js';
import type { Wake } from '../parties/wake.js';

const EACH = 50;
/** Both profiles' mailboxes hold so many queues. */
const MAILBOX = 14;
const SCALES = [10_000, 100_000];
const LONG_SCALE = 1_000_000;

export const memory: Row = async ({ long }) => {
  const figures: Figure[] = [];
  for (const count of long ? [...SCALES, LONG_SCALE] : SCALES) figures.push(...(await scale(count)));
  return figures;
};

async function scale(count: number): Promise<Figure[]> {
  const wake = await startParty<Wake>('wake', { exposesGc: true });
  const idle = (await wake.usage()).rssBytes;
  const buildMicros = await wake.call('build', count / EACH, EACH);
  const quiet = (await wake.usage()).rssBytes - idle;
  for (let queue = 0; queue < MAILBOX; queue++) await wake.call('signal', queue);
  const full = (await wake.usage()).rssBytes - idle;
  await wake.stop();
  const name = count.toLocaleString('en-GB');
  const each = (bytes: number) => bytes / count;
  const note = `${EACH} a device; ${(buildMicros / count).toFixed(1)} µs each to build, its share of the registration included`;
  return [
    {
      row: `memory a subscription, ${name}, quiet`,
      value: each(quiet),
      unit: 'bytes',
      target: { atMost: 200 },
      note,
    },
    { row: 'same, full mailboxes', value: each(full), unit: 'bytes', target: { atMost: 250 } },
  ];
}
