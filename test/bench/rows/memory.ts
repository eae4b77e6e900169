/** Row 7: memory of a subscription, quiet and with full mailboxes, and how it grows with their number. */
import { startParty } from '../children.js';
import type { Figure, Row } from '../harness.js';
import type { Wake } from '../parties/wake.js';

const EACH = 50;
/** Both profiles' mailboxes hold so many queues. */
const MAILBOX = 14;
const SCALES = { small: 10_000, middle: 100_000, large: 300_000 } as const;
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
  const small = await scale(SCALES.small);
  const middle = await scale(SCALES.middle);
  const large = await scale(SCALES.large);
  const further = (sizes: 'quiet' | 'full') =>
    (large.sizes[sizes] - middle.sizes[sizes]) / (SCALES.large - SCALES.middle);
  const row = 'memory of each further subscription';
  const figures: Figure[] = [
    ...[small, middle, large].flatMap((of) => of.figures),
    { row: `${row}, quiet`, value: further('quiet'), unit: 'bytes', target: QUIET },
    { row: `${row}, full mailboxes`, value: further('full'), unit: 'bytes', target: FULL },
  ];
  if (!long) return figures;
  const [quiet, full] = (await scale(LONG_SCALE)).figures;
  return [...figures, { ...quiet!, target: QUIET }, { ...full!, target: FULL }];
};

/** The two figures of one scale; the smaller ones carry what a process that works holds anyway. */
async function scale(count: number): Promise<{ sizes: Sizes; figures: Figure[] }> {
  const wake = await startParty<Wake>('wake', { exposesGc: true });
  const idle = (await wake.usage()).rssBytes;
  const buildMicros = await wake.call('build', count / EACH, EACH, MAILBOX);
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
