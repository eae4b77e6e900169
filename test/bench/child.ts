/**
 * The child's side of the benchmark's processes: answers calls of the parent over IPC. Preloaded into every process
 * that is measured, also the unmodified services, so that CPU and memory are always those of one party alone.
 */

/** What a process costs by now. */
export interface Usage {
  /** User and system time of all its threads, microseconds. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

export interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

export type ToParent =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string }
  | { readonly kind: 'event'; readonly value: unknown };

/** What a party offers its parent; arguments and results are cloned. */
export type Api = Readonly<Record<string, (...args: never[]) => unknown>>;

export const cpuMicros = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Collects garbage where the process was started with --expose-gc. */
export const collect = (): void => (globalThis as { gc?: () => void }).gc?.();

function usage(): Usage {
  collect();
  return { cpuMicros: cpuMicros(), rssBytes: process.memoryUsage.rss() };
}

const methods = new Map<string, (...args: never[]) => unknown>([['usage', usage]]);
const tell = (message: ToParent): void => void process.send?.(message);

/** Offers these methods; the parent may call from now on. */
export function serve(api: Api): void {
  for (const [name, method] of Object.entries(api)) methods.set(name, method);
  process.once('SIGTERM', () => process.exit());
  tell({ kind: 'ready' });
}

/** Tells the parent something that it did not ask for. */
export const emit = (value: unknown): void => tell({ kind: 'event', value });

async function answer({ id, method, args }: Call): Promise<void> {
  try {
    const run = methods.get(method);
    if (run === undefined) throw new Error(`no method ${method}`);
    tell({ kind: 'result', id, value: await run(...(args as never[])) });
  } catch (error) {
    tell({ kind: 'failed', id, reason: error instanceof Error ? (error.stack ?? error.message) : 'unknown' });
  }
}

process.on('message', (call: Call) => void answer(call));
// Nothing outlives the benchmark, however it ends.
process.on('disconnect', () => process.exit());
