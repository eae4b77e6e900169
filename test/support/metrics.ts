/** Metric handles for tests: they count, and a test may read the counts. */
import type { MetricHandles, MetricTable } from '../../shared/run/metrics.js';

export interface CountedMetrics<T extends MetricTable> {
  readonly handles: MetricHandles<T>;
  /** Sum of a counter or last value of a gauge; labels as in `count('x', 'accepted')`, in the table's order. */
  count(name: keyof T & string, ...labels: readonly string[]): number;
}

export function countedMetrics<const T extends MetricTable>(table: T): CountedMetrics<T> {
  const values = new Map<string, number>();
  const handles: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) {
    const change = (
      args: readonly unknown[],
      next: (old: number, by: number | undefined) => number,
    ): void => {
      const labels = spec.labels === undefined ? [] : Object.values(args[0] as Record<string, string>);
      const amount = args[spec.labels === undefined ? 0 : 1] as number | undefined;
      const key = [name, ...labels].join(' ');
      values.set(key, next(values.get(key) ?? 0, amount));
    };
    handles[name] = {
      inc: (...args: unknown[]) => change(args, (old, by = 1) => old + by),
      set: (...args: unknown[]) => change(args, (_, value = 0) => value),
      observe: (...args: unknown[]) => change(args, (old) => old + 1),
    };
  }
  return {
    handles: handles as MetricHandles<T>,
    count: (name, ...labels) => values.get([name, ...labels].join(' ')) ?? 0,
  };
}
