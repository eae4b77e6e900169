/** Row 7: memory of a subscription, quiet and with full mailboxes, and how it grows with their number. */
import { startParty } from '../children.js';
import type { Figure, Row } from '../harness.js';
import type { Wake } from '../parties/wake.js';

const EACH = 50;
/** Both profiles' mailboxes hold so many queues. */
const MAILBOX = 14;
const SCALES = [10_000, 100_000] as const;
const LONG_SCALE = 1_000_000;

/** Bytes over the idle process. */
interface Sizes {
  readonly count: number;
  readonly quiet: number;
  readonly full: number;
}

const QUIET = { atMost: 200 };
const FULL = { atMost: 250 };

export const memory: Row = async ({ long }) => {
  const small = await scale(SCALES[0]);
  const large = await scale(SCALES[1]);
  const further = (sizes: 'quiet' | 'full') =>
    (large.sizes[sizes] - small.sizes[sizes]) / (SCALES[1] - SCALES[0]);
  const figures: Figure[] = [
    ...small.figures,
    ...large.figures,
    {
      row: 'memory of each further subscription, quiet',
      value: further('quiet'),
      unit: 'bytes',
      target: QUIET,
    },
    { row: 'same, full mailboxes', value: further('full'), unit: 'bytes', target: FULL },
  ];
  if (!long) return figures;
  const [quiet, full] = (await scale(LONG_SCALE)).figures;
  return [...figures, { ...quiet!, target: QUIET }, { ...full!, target: FULL }];
};

/** The two figures of one scale; the smaller ones carry what a process that works holds anyway. */
async function scale(count: number): Promise<{ sizes: Sizes; figures: Figure[] }> {
  const wake = await startParty<Wake>('wake', { exposesGc: true });
  const idle = (await wake.usage()).rssBytes;
  const buildMicros = await wake.call('build', count / EACH, EACH);
  const quiet = (await wake.usage()).rssBytes - idle;
  let signalMicros = 0;
  for (let queue = 0; queue < MAILBOX; queue++) signalMicros += (await wake.call('signal', queue)).micros;
  const full = (await wake.usage()).rssBytes - idle;
  await wake.stop();
  const name = count.toLocaleString('en-GB');
  const built = (buildMicros / count).toFixed(1);
  const signalled = (signalMicros / (MAILBOX * (count / EACH))).toFixed(1);
  const note = `${EACH} a device; ${built} µs to build each, registration included; ${signalled} µs a signal`;
  const figures: Figure[] = [
    { row: `memory a subscription, ${name}, quiet`, value: quiet / count, unit: 'bytes', note },
    { row: `memory a subscription, ${name}, full mailboxes`, value: full / count, unit: 'bytes' },
  ];
  return { sizes: { count, quiet, full }, figures };
}
