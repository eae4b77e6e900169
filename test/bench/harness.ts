/** What all rows share: figures and verdicts, medians of interleaved rounds, small measures of time. */

import { sleep, systemClock } from '../../shared/run/clock.js';

/** One line of the table. */
export interface Figure {
  readonly row: string;
  readonly value: number;
  readonly unit: string;
  /** The value that it must not exceed, or must reach; none where the figure is for information. */
  readonly target?: { readonly atMost: number } | { readonly atLeast: number };
  /** The same measure of others, in the same run. */
  readonly peers?: Readonly<Record<string, number>>;
  readonly note?: string;
}

export interface RunOptions {
  /** Adds what takes minutes. */
  readonly long: boolean;
}

export type Row = (options: RunOptions) => Promise<readonly Figure[]>;

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Nearest rank. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/**
 * Runs each party once a round, one after another, so that what disturbs the machine disturbs all of them; the
 * median of each party's rounds. The first round is not counted.
 */
export async function interleaved<P extends string>(
  parties: readonly P[],
  rounds: number,
  measure: (party: P) => Promise<number>,
): Promise<Record<P, number>> {
  const values = new Map<P, number[]>(parties.map((party) => [party, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const party of parties) {
      const value = await measure(party);
      if (round > 0) values.get(party)!.push(value);
    }
  }
  return Object.fromEntries([...values].map(([party, of]) => [party, median(of)])) as Record<P, number>;
}

/** A word for how a figure stands to its target. */
export function verdict({ value, target }: Figure): 'met' | 'missed' | 'far off' | '-' {
  if (target === undefined) return '-';
  const ratio = 'atMost' in target ? value / target.atMost : target.atLeast / value;
  if (ratio <= 1) return 'met';
  return ratio <= 1.5 ? 'missed' : 'far off';
}

export const rounded = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en-GB') : String(Number(value.toPrecision(3)));

/** Polls until it holds; fails after `limitMs`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 30_000) {
  const end = systemClock.monotonic() + limitMs;
  while (!(await holds())) {
    if (systemClock.monotonic() > end) throw new Error(`${what} did not happen within ${limitMs} ms`);
    await sleep(systemClock, 5);
  }
}
