/** A handle on the gateway's process: start, kill, stop, pause, let time pass. The port stays the same. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from './bounded.js';
import type { FromGateway, ToGateway } from './gateway-process.js';

const PROGRAM = fileURLToPath(new URL('./gateway-process.js', import.meta.url));
const START_MS = 20_000;
const END_MS = 8_000;
const ANSWER_MS = 5_000;

export class GatewayProcess {
  port = 0;
  fingerprint = '';
  /** How often it was started. */
  starts = 0;
  private readonly file: string;
  private child: ChildProcess | undefined;
  private leapt = 0;

  constructor(file: string) {
    this.file = file;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const child = fork(PROGRAM, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.child = child;
    this.starts++;
    const listen = `127.0.0.1:${this.port}`;
    this.say({ start: { file: this.file, listen, leapt: this.leapt } });
    const answer = await this.answer(START_MS, 'gateway ready');
    if ('ready' in answer) Object.assign(this, answer.ready);
  }

  /** Ends the process: `SIGKILL` as a power cut does, `SIGTERM` in good order. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await within(END_MS, 'end of the gateway', gone);
  }

  /** The process stands still, its connections open. */
  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  /** Resolves when its clock has leapt. */
  async leap(ms: number): Promise<void> {
    this.leapt += ms;
    this.say({ leap: ms });
    await this.answer(ANSWER_MS, 'leap of the gateway');
  }

  private say(message: ToGateway): void {
    this.child!.send(message);
  }

  private async answer(ms: number, what: string): Promise<FromGateway> {
    const [message] = (await within(ms, what, once(this.child!, 'message'))) as [FromGateway];
    return message;
  }
}
