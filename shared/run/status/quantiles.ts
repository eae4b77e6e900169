/** Quantiles of a histogram's counts, interpolated inside their bucket as Prometheus does. Pure. */

/** Observations up to `bound` (cumulative); the last one's bound is infinite. */
export interface Bucket {
  readonly bound: number;
  readonly count: number;
}

/**
 * The value below which `part` of the observations lie, in the histogram's unit; undefined without any. What lies
 * beyond the last finite bound counts as that bound.
 */
export function quantile(buckets: readonly Bucket[], part: number): number | undefined {
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0) return undefined;
  const rank = part * total;
  let lower = { bound: 0, count: 0 };
  for (const bucket of buckets) {
    if (!Number.isFinite(bucket.bound)) break;
    if (bucket.count >= rank) {
      const within = bucket.count - lower.count;
      const share = within === 0 ? 1 : (rank - lower.count) / within;
      return lower.bound + (bucket.bound - lower.bound) * share;
    }
    lower = bucket;
  }
  return lower.bound;
}
