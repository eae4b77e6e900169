/** Status pages of a service that never ran: its tables filled by a steady imaginary traffic on virtual time. */
import { VirtualClock } from '../../shared/run/clock.js';
import { type MetricSpec, Metrics, type MetricTable } from '../../shared/run/metrics.js';
import { type ObserveListener, startObserving } from '../../shared/run/observe.js';
import type { StatusDescription } from '../../shared/run/status/description.js';
import { openStatusPages } from '../../shared/run/status/pages.js';

const STEP_MS = 60_000;
const DAY_STEPS = 1_440;

type Labels = Readonly<Record<string, string>>;
/** Any handle: a table that is only known at run time has no types for its labels. */
type Handle = Readonly<Record<'inc' | 'set' | 'observe', (...args: (Labels | number)[]) => void>>;

export interface BusyStatus {
  readonly port: number;
  close(): Promise<void>;
}

/** @param notReady as in `/readyz` */
export async function startBusyStatus<T extends MetricTable>(
  description: StatusDescription<T>,
  hours: number,
  notReady?: string,
): Promise<BusyStatus> {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1, 6));
  const metrics = new Metrics(`porchlight_${description.service}_`);
  const handles = metrics.add(description.tables) as unknown as Readonly<Record<string, Handle>>;
  const isReady = () => notReady;
  const pages = openStatusPages({
    clock,
    metrics,
    description,
    version: '1.2.3',
    crypto: 'native',
    notReady: isReady,
    measure: () => {},
  });
  for (let step = 0; step < hours * 60; step++) {
    const busy = 60 * (1 + Math.sin((step / DAY_STEPS) * 2 * Math.PI)) + 20 * Math.sin(step / 3) ** 2;
    for (const [name, spec] of Object.entries(description.tables)) move(handles[name]!, spec, busy);
    await clock.advance(STEP_MS);
  }
  const observing: ObserveListener = await startObserving({
    listen: { host: '127.0.0.1', port: 0 },
    metrics,
    notReady: isReady,
    pages: pages.routes,
  });
  return {
    port: observing.port,
    async close() {
      pages.close();
      await observing.close();
    },
  };
}

/** The first values of labels happen most. */
function move(handle: Handle, { kind, labels = {} }: MetricSpec, busy: number): void {
  for (const [rank, chosen] of combinations(labels).entries()) {
    const amount = Math.floor(busy / 4 ** rank);
    const at = Object.keys(chosen).length > 0 ? [chosen] : [];
    if (kind === 'counter') handle.inc(...at, amount);
    if (kind === 'gauge') handle.set(...at, rank === 0 ? 1 : 0);
    if (kind === 'histogram') for (let n = 0; n < 9; n++) handle.observe(...at, 0.01 * 1.3 ** n);
  }
}

function combinations(labels: Readonly<Record<string, readonly string[]>>): Labels[] {
  return Object.entries(labels).reduce<Labels[]>(
    (chosen, [label, values]) => chosen.flatMap((so) => values.map((value) => ({ ...so, [label]: value }))),
    [{}],
  );
}
