/**
 * Starts the successor from the running subscriber: the command that it was started with, so the code that is
 * installed now, with the listening sockets.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Server } from 'node:net';
import { socketVariables } from '../../../shared/run/inherited-sockets.js';

/** Of the one that runs, if one does; and of our own child, which is nothing without us. */
const TAKE_OVER = '--take-over';
const MUST_TAKE_OVER = '--must-take-over';

/** Why this process can't have a successor that it starts itself; undefined where it can. */
export function hindrance(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): string | undefined {
  if (pid === 1) return 'the container would end with this process: start another one beside it';
  if (env.SYSTEMD_EXEC_PID === String(pid))
    return 'systemd would end the new process too: systemctl reload porchlight-subscriber takes the other unit';
  return undefined;
}

/**
 * @param sockets by the names of listeners
 * @param kept those of them that somebody else has for good
 */
export function spawnSuccessor(
  sockets: ReadonlyMap<string, Server>,
  kept: ReadonlySet<string>,
): ChildProcess {
  const [program, ...args] = process.argv.slice(1);
  const own = args.filter((arg) => arg !== TAKE_OVER && arg !== MUST_TAKE_OVER);
  return spawn(process.execPath, [...process.execArgv, program!, ...own, MUST_TAKE_OVER], {
    stdio: ['inherit', 'inherit', 'inherit', ...[...sockets.values()].map(descriptorOf)],
    env: { ...process.env, ...socketVariables([...sockets.keys()], kept) },
  });
}

/** Node shows no other way to it. */
export const descriptorOf = (server: Server): number =>
  (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
