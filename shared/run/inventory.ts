/**
 * What a service holds at this moment, as kinds and counts, never values: read from the gauges that every table,
 * pool and queue has anyway, so that it can't say anything else than /metrics does.
 */
import type { ControlCommand } from './control.js';
import type { Metrics } from './metrics.js';

/** One kind of thing and how it is counted. */
export interface HoldingKind {
  readonly what: string;
  /** Name of its gauge, summed over labels; or how many there are, where that never changes. */
  readonly gauge: string | number;
  /** How long a thing of this kind is kept. */
  readonly until: string;
}

export interface Holding {
  readonly what: string;
  readonly count: number;
  readonly until: string;
}

/** Throws `RangeError` for a gauge that does not exist. */
export async function takeInventory(metrics: Metrics, kinds: readonly HoldingKind[]): Promise<Holding[]> {
  const gauges = await metrics.gauges();
  return kinds.map(({ what, gauge, until }) => {
    const count = typeof gauge === 'number' ? gauge : gauges.get(gauge);
    if (count === undefined) throw new RangeError(`no gauge ${gauge}`);
    return { what, count, until };
  });
}

/** Answers `{"do":"inventory"}` with one line a kind. */
export const inventoryCommand =
  (metrics: Metrics, kinds: readonly HoldingKind[], measure: () => void = () => {}): ControlCommand =>
  async (_request, say) => {
    measure();
    for (const holding of await takeInventory(metrics, kinds)) say(holding);
  };
