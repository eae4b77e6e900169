/** The executable as people run it: a process of its own, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from './world/eventually.js';

export const EXECUTABLE = fileURLToPath(new URL('../../services/cli/main.js', import.meta.url));

export interface CliOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CliResult {
  /** Exit status; null where a signal ended the process. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Cli {
  stdout = '';
  stderr = '';
  private readonly process: ChildProcess;
  private readonly exited: Promise<number | null>;

  constructor(args: readonly string[], { cwd, env }: CliOptions) {
    // A group of its own: whatever it starts can be looked for.
    this.process = spawn(process.execPath, [EXECUTABLE, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve) => this.process.once('close', resolve));
  }

  get pid(): number {
    return this.process.pid!;
  }

  async ended(): Promise<CliResult> {
    const code = await this.exited;
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  /** Resolves when the service says so; rejects when it ends instead. */
  async ready(): Promise<void> {
    await eventually('ready', () => {
      if (this.process.exitCode !== null) throw new Error(`ended: ${this.stderr}`);
      return /: ready$|"ready"/m.test(this.stderr);
    });
  }

  stop(signal: NodeJS.Signals): Promise<CliResult> {
    this.process.kill(signal);
    return this.ended();
  }

  /** Whether it or anything that it started still runs. */
  get leftRunning(): boolean {
    try {
      return process.kill(-this.process.pid!, 0);
    } catch {
      return false;
    }
  }

  /** Ends it and all that it started, for tests that failed. */
  kill(): void {
    if (this.leftRunning) process.kill(-this.process.pid!, 'SIGKILL');
  }
}

/** Runs a command to its end. */
export const runCli = (options: CliOptions, ...args: readonly string[]): Promise<CliResult> =>
  new Cli(args, options).ended();
