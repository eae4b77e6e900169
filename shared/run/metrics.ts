/**
 * Metrics from typed tables. Each part exports one table (name → kind, help, labels with all their values), so a
 * misspelt name or an open-ended label does not compile, and the documentation can be printed from the tables.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { Counts, type Labels, type Words } from './counts.js';

const NO_LABELS: Words = {};

export interface MetricSpec {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Label → the closed set of its values. */
  readonly labels?: Labels;
  /** Upper bounds of a histogram, in the unit that its name ends with. */
  readonly buckets?: readonly number[];
}

/** For a hop of a wake-up's way, in seconds: a millisecond on an idle line, half a minute with repeats. */
export const HOP_BUCKETS: readonly number[] = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30,
];

export type MetricTable = Readonly<Record<string, MetricSpec>>;

type LabelValues<S extends MetricSpec> = S['labels'] extends Labels
  ? { readonly [L in keyof S['labels']]: S['labels'][L][number] }
  : undefined;
type With<S extends MetricSpec, Rest extends unknown[]> = S['labels'] extends Labels
  ? [labels: LabelValues<S>, ...Rest]
  : Rest;

export interface CounterHandle<S extends MetricSpec> {
  inc(...args: With<S, [by?: number]>): void;
}
export interface GaugeHandle<S extends MetricSpec> {
  set(...args: With<S, [value: number]>): void;
}
export interface HistogramHandle<S extends MetricSpec> {
  observe(...args: With<S, [value: number]>): void;
}

export type MetricHandles<T extends MetricTable> = {
  readonly [N in keyof T]: T[N]['kind'] extends 'counter'
    ? CounterHandle<T[N]>
    : T[N]['kind'] extends 'gauge'
      ? GaugeHandle<T[N]>
      : HistogramHandle<T[N]>;
};

/** One value at one moment, as the text format has it: a histogram is many of them, with the label `le`. */
export interface Sample {
  /** Without the prefix; with `_bucket`, `_sum`, `_count` where it is a histogram's. */
  readonly name: string;
  readonly labels: Readonly<Partial<Record<string, string | number>>>;
  readonly value: number;
}

/** One process's metrics, all under one prefix (`porchlight_gateway_`). */
export class Metrics {
  private readonly registry = new Registry();
  private readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** Registers a part's table and returns a handle for each name. */
  add<const T extends MetricTable>(table: T): MetricHandles<T> {
    const handles: Record<string, unknown> = {};
    for (const [name, spec] of Object.entries(table)) handles[name] = this.handle(name, spec);
    return handles as MetricHandles<T>;
  }

  /** The Prometheus text format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  /** Every value of every metric. */
  async samples(): Promise<Sample[]> {
    const families = await this.registry.getMetricsAsJSON();
    return families.flatMap(({ name, values }) =>
      values.map((sample) => {
        const full =
          'metricName' in sample && typeof sample.metricName === 'string' ? sample.metricName : name;
        return { name: full.slice(this.prefix.length), labels: sample.labels, value: Number(sample.value) };
      }),
    );
  }

  /** Every gauge's value, summed over its labels, by its name without the prefix. */
  async gauges(): Promise<Map<string, number>> {
    const sums = new Map<string, number>();
    for (const { name, type, values } of await this.registry.getMetricsAsJSON()) {
      // Node's types leave the enum's values out of reach of a comparison with a word.
      if (String(type) !== 'gauge') continue;
      const sum = values.reduce((total, { value }) => total + Number(value), 0);
      sums.set(name.slice(this.prefix.length), sum);
    }
    return sums;
  }

  private handle(name: string, spec: MetricSpec): unknown {
    const config = {
      name: this.prefix + name,
      help: spec.help,
      labelNames: Object.keys(spec.labels ?? {}),
      registers: [this.registry],
    };
    if (spec.kind === 'histogram')
      return histogramHandle(new Histogram({ ...config, buckets: [...(spec.buckets ?? [])] }), spec);
    const counts = new Counts(spec.labels);
    if (spec.kind === 'counter') {
      const counter = new Counter({
        ...config,
        collect() {
          counter.reset();
          for (const [labels, value] of counts.entries()) counter.inc(labels, value);
        },
      });
      return {
        inc: spec.labels
          ? (labels: Words, by = 1) => counts.add(labels, by)
          : (by = 1) => counts.add(NO_LABELS, by),
      };
    }
    const gauge = new Gauge({
      ...config,
      collect() {
        for (const [labels, value] of counts.entries()) gauge.set(labels, value);
      },
    });
    return {
      set: spec.labels
        ? (labels: Words, value: number) => counts.set(labels, value)
        : (value: number) => counts.set(NO_LABELS, value),
    };
  }
}

const histogramHandle = (histogram: Histogram, { labels }: MetricSpec) => ({
  observe: labels
    ? (words: Words, value: number) => histogram.observe(words, value)
    : (value: number) => histogram.observe(value),
});
