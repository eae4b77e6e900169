/** A real Redis for one test: nothing on disk, an ephemeral port of loopback, gone afterwards. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../services/demo/free-ports.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { needsCommand } from './needs.js';

const START_MS = 10_000;

export class RedisServer {
  readonly port: number;
  /** Where the servers of a cluster speak to each other. */
  readonly busPort: number;
  readonly folder: string;
  private readonly args: readonly string[];
  private process: ChildProcess | undefined;

  private constructor([port, busPort]: readonly [number, number], args: readonly string[]) {
    this.port = port;
    this.busPort = busPort;
    this.folder = mkdtempSync(join(tmpdir(), 'porchlight-redis-'));
    this.args = args;
  }

  /** @param args options of redis-server beside port and folder */
  static async start(...args: string[]): Promise<RedisServer> {
    needsCommand('redis-server', 'redis-server');
    const server = new RedisServer((await freePorts(2)) as [number, number], args);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it, also again after `kill`. */
  async start(): Promise<void> {
    const listen = this.args.includes('--tls-port') ? [] : ['--port', `${this.port}`];
    const quiet = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', this.folder];
    // By default it is 10,000 above the other, where outgoing connections may have it.
    const bus = this.args.includes('--cluster-enabled') ? ['--cluster-port', `${this.busPort}`] : [];
    const args = [
      ...listen,
      ...bus,
      ...quiet,
      ...this.args.map((arg) => (arg === 'PORT' ? `${this.port}` : arg)),
    ];
    this.process = spawn('redis-server', args, { stdio: 'ignore' });
    const end = systemClock.monotonic() + START_MS;
    while (!(await accepts(this.port))) {
      if (systemClock.monotonic() > end || this.process.exitCode !== null) throw new Error('no redis-server');
      await sleep(systemClock, 20);
    }
  }

  /** As when the machine loses power. */
  async kill(): Promise<void> {
    const { process } = this;
    this.process = undefined;
    if (process === undefined) return;
    const ended = new Promise((resolve) => process.once('exit', resolve));
    process.kill('SIGKILL');
    await ended;
  }

  /** It keeps its connections and answers nothing. */
  freeze(): void {
    this.process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.process?.kill('SIGCONT');
  }

  /** One command, as an operator would with redis-cli. */
  async command(name: string, ...args: string[]): Promise<unknown> {
    const { Redis } = await import('ioredis');
    const redis = new Redis(this.port, '127.0.0.1');
    try {
      return await redis.call(name, ...args);
    } finally {
      redis.disconnect();
    }
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
