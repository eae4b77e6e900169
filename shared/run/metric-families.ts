/**
 * The numbers of one metric. Labels are closed sets, so each combination of their values has its place from the
 * start: counting is an addition in an array, which parts may do many times for each signal or push.
 */
import type { Labels, MetricSpec } from './metrics.js';

/** One value at one moment, as the text format has it: a histogram is many of them, with the label `le`. */
export interface Sample {
  /** Without the prefix; with `_bucket`, `_sum`, `_count` where it is a histogram's. */
  readonly name: string;
  readonly labels: Readonly<Partial<Record<string, string | number>>>;
  readonly value: number;
}

type Words = Readonly<Record<string, string>>;

export interface Family {
  readonly name: string;
  readonly spec: MetricSpec;
  /** What the parts hold, as `MetricHandles` describes it. */
  readonly handle: object;
  /** A combination of labels is there from its first use on; without labels from the start. */
  readonly samples: () => Iterable<Sample>;
}

export const familyOf = (name: string, spec: MetricSpec): Family =>
  spec.kind === 'histogram' ? histogram(name, spec) : number(name, spec);

function number(name: string, spec: MetricSpec): Family {
  const places = new Places(spec.labels);
  const values = new Float64Array(places.size);
  const inc = (labels: Words, by = 1): void => {
    if (by < 0) throw new RangeError('a counter only grows');
    values[places.use(labels)]! += by;
  };
  const set = (labels: Words, value: number): void => {
    values[places.use(labels)] = value;
  };
  const handle =
    spec.kind === 'counter'
      ? { inc: spec.labels ? inc : (by?: number) => inc(NO_LABELS, by) }
      : { set: spec.labels ? set : (value: number) => set(NO_LABELS, value) };
  function* samples(): Iterable<Sample> {
    for (const [place, labels] of places.used()) yield { name, labels, value: values[place]! };
  }
  return { name, spec, handle, samples };
}

function histogram(name: string, spec: MetricSpec): Family {
  const places = new Places(spec.labels);
  const bounds = [...(spec.buckets ?? []), Number.POSITIVE_INFINITY];
  /** Observations up to each bound that are above the one before. */
  const counts = new Float64Array(places.size * bounds.length);
  const sums = new Float64Array(places.size);
  const observe = (labels: Words, value: number): void => {
    const place = places.use(labels);
    let bucket = 0;
    while (value > bounds[bucket]!) bucket++;
    counts[place * bounds.length + bucket]!++;
    sums[place]! += value;
  };
  const handle = { observe: spec.labels ? observe : (value: number) => observe(NO_LABELS, value) };
  function* samples(): Iterable<Sample> {
    for (const [place, labels] of places.used()) {
      let count = 0;
      for (const [i, bound] of bounds.entries()) {
        count += counts[place * bounds.length + i]!;
        const le = Number.isFinite(bound) ? bound : '+Inf';
        yield { name: `${name}_bucket`, labels: { le, ...labels }, value: count };
      }
      yield { name: `${name}_sum`, labels, value: sums[place]! };
      yield { name: `${name}_count`, labels, value: count };
    }
  }
  return { name, spec, handle, samples };
}

const NO_LABELS: Words = {};

interface Axis {
  readonly label: string;
  readonly values: readonly string[];
  /** Between the places of two neighbouring values. */
  readonly step: number;
  readonly offsets: ReadonlyMap<string | undefined, number>;
}

/** A place for each combination of labels' values. */
class Places {
  readonly size: number;
  private readonly axes: readonly Axis[];
  private readonly isUsed: boolean[];

  constructor(labels: Labels = {}) {
    let size = 1;
    this.axes = Object.entries(labels).map(([label, values]) => {
      const step = size;
      size *= values.length;
      return { label, values, step, offsets: new Map(values.map((value, i) => [value, i * step])) };
    });
    this.size = size;
    this.isUsed = new Array<boolean>(size).fill(this.axes.length === 0);
  }

  /** Throws `RangeError` where a value is not in its label's set: such code does not compile. */
  use(labels: Words): number {
    let place = 0;
    for (const { label, offsets } of this.axes) {
      const offset = offsets.get(labels[label]);
      if (offset === undefined) throw new RangeError(`${label} has no such value`);
      place += offset;
    }
    this.isUsed[place] = true;
    return place;
  }

  *used(): Iterable<[place: number, labels: Words]> {
    for (const [place, isUsed] of this.isUsed.entries()) {
      if (!isUsed) continue;
      const words = this.axes.map(({ label, values, step }): [string, string] => [
        label,
        values[Math.floor(place / step) % values.length]!,
      ]);
      yield [place, Object.fromEntries(words)];
    }
  }
}
