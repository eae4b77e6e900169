/**
 * One party of the demo as a process of its own: started, waited for, stopped, started again. A service says on
 * standard error, one JSON object a line, what it does; the demo reads its milestones there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const EXECUTABLE = fileURLToPath(new URL('../cli/main.js', import.meta.url));
const START_MS = 20_000;
const STOP_MS = 5_000;
/** Last lines kept to explain why a party ended. */
const KEPT_LINES = 20;

export interface LogLine {
  readonly msg: string;
  readonly time: string;
  readonly port?: number;
  readonly kind?: string;
}

export class Child {
  readonly name: string;
  private readonly args: readonly string[];
  private readonly onLine: (line: LogLine) => void;
  private readonly env: Readonly<Record<string, string>>;
  private process: ChildProcess | undefined;
  private readonly lines: string[] = [];

  /** @param env variables beside those of this process */
  constructor(
    name: string,
    args: readonly string[],
    onLine: (line: LogLine) => void = () => {},
    env: Readonly<Record<string, string>> = {},
  ) {
    this.name = name;
    this.args = args;
    this.onLine = onLine;
    this.env = env;
  }

  get pid(): number | undefined {
    return this.process?.pid;
  }

  /** Resolves when the party has said `ready`; rejects when it ends or stays silent. */
  start(): Promise<void> {
    const child = spawn(process.execPath, [EXECUTABLE, ...this.args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...this.env },
    });
    this.process = child;
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error([`${this.name} ${why}`, ...this.lines].join('\n  ')));
      const deadline = AbortSignal.timeout(START_MS);
      deadline.addEventListener('abort', () => fail('was not ready in time'));
      child.once('exit', () => fail('ended before it was ready'));
      createInterface({ input: child.stderr! }).on('line', (text) => {
        const line = this.keep(text);
        if (line === undefined) return;
        if (line.msg === 'ready') resolve();
        this.onLine(line);
      });
    });
  }

  private keep(text: string): LogLine | undefined {
    this.lines.push(text);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
    try {
      return JSON.parse(text) as LogLine;
    } catch {
      return undefined;
    }
  }

  /** Ends the process; `SIGKILL` when it doesn't end within five seconds of the signal. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      const deadline = AbortSignal.timeout(STOP_MS);
      deadline.addEventListener('abort', () => child.kill('SIGKILL'));
      child.once('exit', () => resolve());
      child.kill(signal);
    });
  }
}
