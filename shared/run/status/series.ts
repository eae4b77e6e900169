/** Moments of all metrics, kept small: each series has a place, each moment is one array of numbers. */
import type { Sample } from '../metrics.js';
import type { Bucket } from './quantiles.js';

/** Any `Measure`, without its types. */
export interface AnyMeasure {
  readonly metric: string;
  readonly where?: Readonly<Record<string, string | readonly string[] | undefined>>;
}

interface Series {
  readonly labels: Sample['labels'];
  readonly place: number;
}

/** All metrics at one moment. */
export interface Moment {
  /** Monotonic milliseconds, and the Unix time in milliseconds. */
  readonly at: number;
  readonly wall: number;
  readonly values: Float64Array;
}

/** The series seen so far; bounded, since labels are closed sets. */
export class SeriesIndex {
  private readonly byName = new Map<string, Series[]>();
  private readonly places = new Map<string, number>();

  record(samples: readonly Sample[], at: number, wall: number): Moment {
    const places = samples.map((sample) => this.placeOf(sample));
    const values = new Float64Array(this.places.size);
    for (const [i, place] of places.entries()) values[place] = samples[i]!.value;
    return { at, wall, values };
  }

  knows(metric: string): boolean {
    return this.byName.has(metric);
  }

  /** The sum over all series that the measure means; 0 where there are none yet. */
  value({ values }: Moment, { metric, where = {} }: AnyMeasure): number {
    let sum = 0;
    for (const { labels, place } of this.byName.get(metric) ?? []) {
      if (Object.entries(where).every(([label, wanted]) => isWanted(labels[label], wanted))) {
        sum += values[place] ?? 0;
      }
    }
    return sum;
  }

  /** What a histogram counted between two moments, in the order of its bounds. */
  buckets(histogram: string, from: Moment, to: Moment): Bucket[] {
    const counts = new Map<number, number>();
    for (const { labels, place } of this.byName.get(`${histogram}_bucket`) ?? []) {
      const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
      const count = (to.values[place] ?? 0) - (from.values[place] ?? 0);
      counts.set(bound, (counts.get(bound) ?? 0) + count);
    }
    return [...counts].map(([bound, count]) => ({ bound, count })).sort((a, b) => a.bound - b.bound);
  }

  private placeOf({ name, labels }: Sample): number {
    const key = `${name} ${JSON.stringify(labels)}`;
    const known = this.places.get(key);
    if (known !== undefined) return known;
    const place = this.places.size;
    this.places.set(key, place);
    const named = this.byName.get(name);
    if (named === undefined) this.byName.set(name, [{ labels, place }]);
    else named.push({ labels, place });
    return place;
  }
}

function isWanted(
  value: string | number | undefined,
  wanted: string | readonly string[] | undefined,
): boolean {
  if (wanted === undefined) return true;
  return typeof wanted === 'string' ? value === wanted : wanted.some((one) => one === value);
}
