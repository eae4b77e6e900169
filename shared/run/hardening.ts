/**
 * Keeps what is in a service's memory out of files and debuggers (design §1, rule 2). Node can't set resource limits
 * or prctl flags, so what can be done from inside is done here, and the rest is named with its fix: the core limit
 * belongs to whoever starts the process (LimitCORE=0 in a systemd unit, `ulimits: core: 0` in a container).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Log } from './log.js';
import { UsageError } from './usage-error.js';

/** Node's switches that write memory or the environment to a file, or let others look into the process. */
const REVEALING =
  /^--(?:abort-on-uncaught-exception|(?:inspect|debug)(?:-.*)?|heapsnapshot-.*|heap-prof(?:-.*)?|diagnostic-dir|report-.*)(?:=|$)/;

/** Where Linux says what it does for this process. */
const LIMITS = '/proc/self/limits';
const CORE_FILTER = '/proc/self/coredump_filter';

/** Refuses Node's switches that would show the memory of a service. Throws `UsageError`. */
export function refuseRevealingSwitches(
  switches: readonly string[] = [
    ...process.execArgv,
    ...(process.env.NODE_OPTIONS ?? '').split(/\s+/).filter((word) => word !== ''),
  ],
): void {
  const found = switches
    .map((word) => word.replaceAll('_', '-').replaceAll('"', ''))
    .filter((word) => REVEALING.test(word))
    .map((word) => word.split('=')[0]!);
  if (found.length === 0) return;
  throw new UsageError(
    `${[...new Set(found)].join(', ')}: shows or writes what is in memory; start without it (see NODE_OPTIONS too)`,
  );
}

/** Switches off what Node and the kernel would write of this process, and warns of what only its starter can. */
export function hardenProcess(log: Log): void {
  const { report } = process;
  report.reportOnFatalError = false;
  report.reportOnUncaughtException = false;
  report.reportOnSignal = false;
  // Node opens its inspector to every user of the machine at this signal, unless somebody listens to it.
  process.on('SIGUSR1', () => log.warn('signal ignored', { name: 'SIGUSR1' }));
  emptyCores(log);
  const limit = coreLimit();
  if (limit === undefined || limit === '0') return;
  log.warn('core dumps are not off: set LimitCORE=0 in the systemd unit, or run ulimit -c 0 before', {
    name: 'core limit',
    reason: limit,
  });
}

/** Zero: a core then holds no mapping at all. It counts where a program takes cores and minds no limit. */
function emptyCores(log: Log): void {
  if (process.platform !== 'linux') return;
  try {
    writeFileSync(CORE_FILTER, '0');
  } catch {
    log.warn('cores of this process cannot be emptied', { file: CORE_FILTER });
  }
}

/** The soft limit as the kernel prints it (`0`, bytes, `unlimited`); undefined where there is no such thing. */
function coreLimit(): string | undefined {
  try {
    return /^Max core file size\s+(\S+)/m.exec(readFileSync(LIMITS, 'latin1'))?.[1];
  } catch {
    return undefined;
  }
}
