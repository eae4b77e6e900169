/**
 * Listening sockets that whoever started this process opened: systemd's socket activation (sd_listen_fds), or a
 * predecessor of ours that does the same. Two processes may have the same socket: so one takes over from the other
 * without a connection refused.
 */
import { ConfigError } from './config.js';

type Environment = Record<string, string | undefined>;

/** The first of them, by convention. */
const FIRST_FD = 3;
const MAX_SOCKETS = 128;
/** Instead of `LISTEN_PID`, which a parent can't know before its child runs. */
const PARENT = 'LISTEN_PARENT_PID';
/** Names of those that the parent did not open either. */
const KEPT = 'LISTEN_KEPT_FDNAMES';
const VARIABLES = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', PARENT, KEPT] as const;

export interface InheritedSocket {
  /** Its descriptor. */
  readonly fd: number;
  /** Whether somebody else has it for good (systemd): closing it here frees no address. */
  readonly isKept: boolean;
}

/**
 * The socket of each wanted listener, by its name; takes the variables out of `env`. Sockets without a name of ours are
 * the wanted listeners in their order, if there are as many. Throws `ConfigError` where that does not fit.
 */
export function inheritedSockets(
  wanted: readonly string[],
  env: Environment = process.env,
  own: { readonly pid: number; readonly ppid: number } = process,
): ReadonlyMap<string, InheritedSocket> {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES, [PARENT]: parent, [KEPT]: kept = '' } = env;
  for (const name of VARIABLES) delete env[name];
  const isOurs = LISTEN_PID === String(own.pid) || parent === String(own.ppid);
  const count = Number(LISTEN_FDS);
  if (LISTEN_FDS === undefined || !isOurs) return new Map();
  if (!Number.isInteger(count) || count < 1 || count > MAX_SOCKETS) {
    throw new ConfigError([`LISTEN_FDS: expected a number from 1 to ${MAX_SOCKETS}`]);
  }
  const names = (LISTEN_FDNAMES ?? '').split(':');
  const found = new Map<string, number>();
  const nameless: number[] = [];
  for (let i = 0; i < count; i++) {
    const name = names[i] ?? '';
    if (wanted.includes(name) && !found.has(name)) found.set(name, FIRST_FD + i);
    else nameless.push(FIRST_FD + i);
  }
  const left = wanted.filter((name) => !found.has(name));
  if (nameless.length > left.length) {
    throw new ConfigError([`LISTEN_FDNAMES: expected names of listeners: ${wanted.join(', ')}`]);
  }
  for (const [i, fd] of nameless.entries()) found.set(left[i]!, fd);
  const isKept = (name: string): boolean => parent !== String(own.ppid) || kept.split(':').includes(name);
  return new Map([...found].map(([name, fd]) => [name, { fd, isKept: isKept(name) }]));
}

/**
 * Variables for a child that gets these sockets as its descriptors from 3 on.
 * @param kept those of them that somebody else has for good
 */
export const socketVariables = (
  names: readonly string[],
  kept: ReadonlySet<string> = new Set(),
): Readonly<Record<string, string>> => ({
  LISTEN_FDS: String(names.length),
  LISTEN_FDNAMES: names.join(':'),
  [KEPT]: names.filter((name) => kept.has(name)).join(':'),
  [PARENT]: String(process.pid),
});
