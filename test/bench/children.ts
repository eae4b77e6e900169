/** Child processes of the benchmark: started here, called over IPC, all stopped at the end whatever happens. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sleep, systemClock } from '../../shared/run/clock.js';
import type { Api, Call, ToParent, Usage } from './child.js';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const PRELOADED = new URL('./child.js', import.meta.url).href;
const STOP_MS = 5_000;
const running = new Set<Child<Api>>();
let profileFolder: string | undefined;

/** From now on every process writes a CPU profile there when it ends. */
export function profileInto(folder: string): void {
  profileFolder = folder;
}

const nodeOptions = (exposesGc: boolean): string[] => [
  ...(exposesGc ? ['--expose-gc'] : []),
  ...(profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]),
  '--import',
  PRELOADED,
];

export interface ChildOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** For memory: garbage is collected before each reading. */
  readonly exposesGc?: boolean;
  readonly onEvent?: (value: unknown) => void;
}

/** One process and the methods it offers. */
export class Child<A extends Api> {
  private readonly process: ChildProcess;
  private readonly exited: Promise<void>;
  private readonly calls = new Map<number, { resolve: (value: never) => void; reject: (e: Error) => void }>();
  private readonly onEvent: (value: unknown) => void;
  private lastId = 0;
  private whenReady: (() => void) | undefined;

  constructor(file: string, options: ChildOptions) {
    const { args = [], env = {}, exposesGc = false, onEvent = () => {} } = options;
    this.onEvent = onEvent;
    this.process = fork(at(file), [...args], {
      execArgv: nodeOptions(exposesGc),
      env: { ...process.env, ...env },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    running.add(this as unknown as Child<Api>);
    this.process.on('message', (message: ToParent) => this.received(message));
    this.exited = new Promise((resolve) => this.process.once('exit', () => resolve(this.gone())));
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Until the party offers its methods. */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      this.whenReady = resolve;
    });
  }

  call<M extends keyof A & string>(method: M, ...args: Parameters<A[M]>): Promise<Awaited<ReturnType<A[M]>>> {
    return this.ask(method, args);
  }

  usage(): Promise<Usage> {
    return this.ask('usage', []);
  }

  /** Asks it to end, and insists. */
  async stop(): Promise<void> {
    this.process.kill('SIGTERM');
    await Promise.race([this.exited, sleep(systemClock, STOP_MS)]);
    this.process.kill('SIGKILL');
  }

  private ask<T>(method: string, args: readonly unknown[]): Promise<T> {
    const id = ++this.lastId;
    return new Promise<T>((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.process.send({ id, method, args } satisfies Call);
    });
  }

  private received(message: ToParent): void {
    if (message.kind === 'ready') this.whenReady?.();
    else if (message.kind === 'event') this.onEvent(message.value);
    else {
      const call = this.calls.get(message.id);
      this.calls.delete(message.id);
      if (message.kind === 'result') call?.resolve(message.value as never);
      else call?.reject(new Error(message.reason));
    }
  }

  private gone(): void {
    running.delete(this as unknown as Child<Api>);
    for (const { reject } of this.calls.values()) reject(new Error('the process ended'));
  }
}

/** A party of this folder (`parties/NAME.ts`), ready to be called. */
export async function startParty<A extends Api>(name: string, options: ChildOptions = {}): Promise<Child<A>> {
  const child = new Child<A>(`./parties/${name}.js`, options);
  await child.ready();
  return child;
}

/** The executable with these arguments: a service as operators run it. */
export const startCommand = (args: readonly string[], env: Readonly<Record<string, string>>): Child<Api> =>
  new Child<Api>('../../services/cli/main.js', { args, env });

export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((child) => child.stop()));
}
