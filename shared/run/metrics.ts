/**
 * Metrics from typed tables. Each part exports one table (name → kind, help, labels with all their values), so a
 * misspelt name or an open-ended label does not compile, and the documentation can be printed from the tables.
 */
import { type Family, familyOf, type Sample } from './metric-families.js';

export type { Sample };

export type Labels = Readonly<Record<string, readonly string[]>>;

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

/** One process's metrics, all under one prefix (`porchlight_gateway_`). */
export class Metrics {
  /** By the name without the prefix. */
  private readonly families = new Map<string, Family>();
  private readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** Registers a part's table and returns a handle for each name. Throws where a name is taken. */
  add<const T extends MetricTable>(table: T): MetricHandles<T> {
    const handles: Record<string, unknown> = {};
    for (const [name, spec] of Object.entries(table)) {
      if (this.families.has(name)) throw new RangeError(`two metrics ${name}`);
      const family = familyOf(name, spec);
      this.families.set(name, family);
      handles[name] = family.handle;
    }
    return handles as MetricHandles<T>;
  }

  /** The Prometheus text format. */
  text(): string {
    const { prefix } = this;
    return [...this.families.values()].map((family) => familyText(family, prefix)).join('\n');
  }

  /** Every value of every metric. */
  samples(): Sample[] {
    return [...this.families.values()].flatMap((family) => [...family.samples()]);
  }

  /** Every gauge's value, summed over its labels, by its name without the prefix. */
  gauges(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const [name, { spec, samples }] of this.families) {
      if (spec.kind !== 'gauge') continue;
      let sum = 0;
      for (const { value } of samples()) sum += value;
      sums.set(name, sum);
    }
    return sums;
  }
}

/** A metric in the text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
function familyText({ name, spec, samples }: Family, prefix: string): string {
  const help = spec.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  let text = `# HELP ${prefix}${name} ${help}\n# TYPE ${prefix}${name} ${spec.kind}\n`;
  for (const { name, labels, value } of samples()) {
    // Values of labels are words of ours: nothing in them needs an escape.
    const pairs = Object.entries(labels).map(([label, of]) => `${label}="${of}"`);
    text += `${prefix}${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  }
  return text;
}
