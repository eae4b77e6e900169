/** The demo's Redis: a real one from this machine, on a socket in the demo's folder, with nothing on disk. */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { UsageError } from '../../shared/run/usage-error.js';

const START_MS = 10_000;
const POLL_MS = 20;

export class DemoRedis {
  readonly socket: string;
  private process: ChildProcess | undefined;

  /** @param socket where to listen */
  constructor(socket: string) {
    this.socket = socket;
  }

  get pid(): number | undefined {
    return this.process?.pid;
  }

  /** Resolves when it listens. Throws `UsageError` where this machine has none. */
  async start(): Promise<void> {
    const args = ['--port', '0', '--unixsocket', this.socket, '--unixsocketperm', '700', '--save', ''];
    const child = spawn('redis-server', args, { stdio: 'ignore' });
    this.process = child;
    let failure: Error | undefined;
    child.once('error', () => {
      failure = new UsageError(
        'several gateways share their limits through Redis, and there is no redis-server here; ' +
          'install it: apt install redis-server (Debian), brew install redis (macOS)',
      );
    });
    const end = systemClock.monotonic() + START_MS;
    while (!(await this.accepts())) {
      if (child.exitCode !== null || systemClock.monotonic() > end)
        failure ??= new Error('redis-server ended');
      if (failure !== undefined) throw failure;
      await sleep(systemClock, POLL_MS);
    }
  }

  /** At once, as when its machine dies. */
  kill(): Promise<void> {
    const { process } = this;
    this.process = undefined;
    if (process?.pid === undefined || process.exitCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      process.once('exit', () => resolve());
      process.kill('SIGKILL');
    });
  }

  private accepts(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.socket);
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  }
}
