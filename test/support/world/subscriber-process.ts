/** A handle on a subscriber in a process of its own, with its parent's idea of time. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Subscriber } from '../../../services/subscriber/app.js';
import type { LeapClock } from './leap-clock.js';
import type { FromSubscriber, SubscriberStart, ToSubscriber } from './subscriber-child.js';

const PROGRAM = fileURLToPath(new URL('./subscriber-child.js', import.meta.url));

/** A subscriber, as far as a test of the others needs it. */
export type RunningSubscriber = Pick<Subscriber, 'ports' | 'observePort' | 'close'>;

export class SubscriberProcess implements RunningSubscriber {
  readonly ports: ReadonlyMap<string, number>;
  readonly observePort: number;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, { ports, observePort }: FromSubscriber) {
    this.child = child;
    this.ports = new Map(ports);
    this.observePort = observePort;
  }

  /** Resolves when it listens; rejects where it ends instead. */
  static async start(clock: LeapClock, start: Omit<SubscriberStart, 'leapt'>): Promise<SubscriberProcess> {
    const child = fork(PROGRAM, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const say = (message: ToSubscriber): void => void (child.connected && child.send(message));
    say({ start: { ...start, leapt: clock.leapt } });
    clock.onLeap((leap) => say({ leap }));
    const ended = once(child, 'exit').then(() => Promise.reject(new Error('the subscriber ended')));
    const [ready] = (await Promise.race([once(child, 'message'), ended])) as [FromSubscriber];
    ended.catch(() => {});
    return new SubscriberProcess(child, ready);
  }

  /** As a power cut does: nothing is said to anybody. */
  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}
