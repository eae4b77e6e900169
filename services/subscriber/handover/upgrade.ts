/** `upgrade` on the control socket: starts a successor, and says each state until it is the subscriber. */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../../shared/run/clock.js';
import { type ControlCommand, ControlRefusal } from '../../../shared/run/control.js';
import type { Doors } from '../doors.js';
import { hindrance, spawnSuccessor } from './child.js';
import type { Predecessor } from './predecessor.js';
import type { State } from './states.js';

/** From its start to its proof. */
const START_MS = 60_000;

export interface UpgradeOptions {
  readonly clock: Clock;
  readonly predecessor: Predecessor;
  /** What the child inherits. */
  readonly doors: Pick<Doors, 'sockets' | 'kept'>;
}

/** `{"do":"upgrade"}` → `{"state":"offering"}` … `{"state":"draining"}`. A refusal says why all is as before. */
export function upgradeCommand({ clock, predecessor, doors }: UpgradeOptions): ControlCommand {
  let running: ChildProcess | undefined;
  return async (_request, say) => {
    const reason = hindrance(process.env, process.pid);
    if (reason !== undefined) throw new ControlRefusal(reason);
    if (running !== undefined) throw new ControlRefusal('a successor has been started already');
    running = spawnSuccessor(doors.sockets, doors.kept);
    const stop = predecessor.watch((state) => say({ state }));
    try {
      await takenOver(running, predecessor, clock);
    } catch (error) {
      running.kill('SIGKILL');
      throw error;
    } finally {
      stop();
      running.unref();
      running = undefined;
    }
  };
}

/** Resolves when the child is the subscriber. Rejects with `ControlRefusal` when it ended, or did not begin. */
function takenOver(child: ChildProcess, predecessor: Predecessor, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void =>
      settle(() => reject(new ControlRefusal(`${what}; the old one serves on`)));
    const timer = clock.after(START_MS, () => fail('the new process did not begin'));
    const watch = (state: State): void => {
      if (state === 'offering') timer.cancel();
      if (state === 'serving') fail('the new process could not take over');
      if (state === 'draining') settle(resolve);
    };
    const stop = predecessor.watch(watch);
    const settle = (end: () => void): void => {
      timer.cancel();
      stop();
      child.removeAllListeners();
      child.on('error', () => {});
      end();
    };
    child.once('error', () => fail('the new process could not be started'));
    child.once('exit', (status) => fail(`the new process ended (${ending(status)})`));
  });
}

const ending = (status: number | null): string => (status === null ? 'killed' : `status ${status}`);
