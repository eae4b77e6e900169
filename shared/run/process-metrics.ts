/** What every service measures of its own process. */
import type { Clock } from './clock.js';
import type { Metrics, MetricTable } from './metrics.js';

export const processMetrics = {
  ready: { kind: 'gauge', help: '1 while the service can do its work, as /readyz says.' },
  process_started_seconds: { kind: 'gauge', help: 'Unix time of the start of this process.' },
  process_resident_bytes: { kind: 'gauge', help: 'Memory of this process that is in RAM.' },
  process_cpu_seconds_total: { kind: 'counter', help: 'Processor time used, in user and system mode.' },
} as const satisfies MetricTable;

const MICROSECONDS = 1e6;

/** Adds the table; what it returns brings the values up to date. `notReady` as in `/readyz`. */
export function measureProcess(
  metrics: Metrics,
  clock: Clock,
  notReady: () => string | undefined,
): () => void {
  const handles = metrics.add(processMetrics);
  handles.process_started_seconds.set(Math.floor(clock.now() / 1000));
  let counted = 0;
  return () => {
    const { user, system } = process.cpuUsage();
    handles.process_cpu_seconds_total.inc((user + system - counted) / MICROSECONDS);
    counted = user + system;
    handles.process_resident_bytes.set(residentBytes());
    handles.ready.set(notReady() === undefined ? 1 : 0);
  };
}

/** 0 where the system does not tell, as in a root folder without /proc: no reason to die. */
export function residentBytes(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return 0;
  }
}
