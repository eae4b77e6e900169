/** Reads Prometheus' text format, as far as our own services write it. */

export type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-z_]+)="([^"]*)"/g;

export class Samples {
  private readonly samples: readonly Sample[];

  constructor(texts: readonly string[]) {
    this.samples = texts.flatMap((text) => text.split('\n').flatMap(sampleOf));
  }

  /** Of all samples of this name that have these labels; 0 where there are none. */
  sum(name: string, labels: Labels = {}): number {
    const wanted = Object.entries(labels);
    return this.named(name)
      .filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value))
      .reduce((sum, { value }) => sum + value, 0);
  }

  /** Sums by the values of one label. */
  by(name: string, label: string): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { labels, value } of this.named(name)) {
      const key = labels[label] ?? '';
      sums.set(key, (sums.get(key) ?? 0) + value);
    }
    return sums;
  }

  /** Upper bound of the bucket in which this part of a histogram's observations ends; undefined without any. */
  quantile(name: string, part: number): number | undefined {
    const total = this.sum(`${name}_count`);
    if (total === 0) return undefined;
    const buckets = [...this.by(`${name}_bucket`, 'le')]
      .map(([le, count]) => ({ bound: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), count }))
      .sort((a, b) => a.bound - b.bound);
    return buckets.find(({ count }) => count >= part * total)?.bound;
  }

  private named(name: string): readonly Sample[] {
    return this.samples.filter((sample) => sample.name === name);
  }
}

function sampleOf(line: string): Sample[] {
  const match = LINE.exec(line);
  if (match === null) return [];
  const labels = Object.fromEntries(
    [...(match[2] ?? '').matchAll(LABEL)].map(([, label, value]) => [label, value]),
  );
  return [{ name: match[1]!, labels, value: Number(match[3]) }];
}

/** The metrics of services on these ports of loopback. Rejects where one does not answer. */
export async function scrape(ports: readonly number[]): Promise<Samples> {
  const read = async (port: number): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
    return response.text();
  };
  return new Samples(await Promise.all(ports.map(read)));
}
