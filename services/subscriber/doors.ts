/** The sockets by which a subscriber is reached, opened one after another and closed together. */
import { createServer, type Server } from 'node:net';
import { type Clock, sleep } from '../../shared/run/clock.js';
import { ConfigError } from '../../shared/run/config.js';
import type { ControlSocket } from '../../shared/run/control.js';
import { BACKLOG, formatListen, type ListenAddress, listenOn } from '../../shared/run/listen.js';
import type { ObserveListener } from '../../shared/run/observe.js';
import type { NtfListener } from './clients/listener.js';
import type { NamedAddress } from './handover/frames.js';

/** Name of the second listener's socket; no listener for phones can have it. */
export const OBSERVE = 'observe';

const PAUSE_MS = 100;
const LONG_PAUSE_MS = 5_000;

export class Doors {
  readonly listeners = new Map<string, NtfListener>();
  observing: ObserveListener | undefined;
  control: ControlSocket | undefined;
  /** Names of sockets that somebody else has for good: closing them would free nothing. */
  readonly kept: ReadonlySet<string>;
  /** What listens no more for a successor's sake, and where it did, until it listens again. */
  private readonly lent = new Map<string, ListenAddress>();
  private isClosed = false;

  constructor(kept: ReadonlySet<string>) {
    this.kept = kept;
  }

  /** The listening ones that phones and monitors know, by name. */
  get sockets(): ReadonlyMap<string, Server> {
    return new Map([...this.all].filter(([, socket]) => socket.listening));
  }

  /** Where they listen, but for those that can't be lent. */
  get addresses(): NamedAddress[] {
    return [...this.sockets].flatMap(([name, socket]) => {
      const at = socket.address();
      if (at === null || typeof at === 'string' || this.kept.has(name)) return [];
      return [{ name, host: at.address, port: at.port }];
    });
  }

  /** Stops listening there and on the control socket, so that another process can; connections stay. */
  lend(names: readonly string[]): void {
    this.control?.release();
    for (const { name, host, port } of this.addresses) {
      if (!names.includes(name)) continue;
      this.lent.set(name, { host, port });
      this.all.get(name)!.close();
    }
  }

  /** Listens again on all that was lent. Resolves when that is done, however long the other process takes, or closed. */
  async takeBack(clock: Clock): Promise<void> {
    for (const [name, address] of this.lent) {
      const socket = this.all.get(name)!;
      const isOver = (): boolean => this.isClosed || !this.lent.has(name);
      await this.again(clock, isOver, () => listenOn(socket, { ...address, backlog: BACKLOG }));
      if (isOver()) socket.close();
      this.lent.delete(name);
    }
    await this.again(
      clock,
      () => this.isClosed,
      async () => this.control?.reopen(),
    );
  }

  async closeListeners(): Promise<void> {
    for (const name of this.listeners.keys()) this.lent.delete(name);
    await Promise.all([...this.listeners.values()].map((listener) => listener.close()));
  }

  /** The same, and the connections of the control socket. */
  async end(): Promise<void> {
    await this.close();
    await this.control?.close();
  }

  /** Closes all connections but those of the control socket, where a successor may be told of it. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.control?.release();
    await this.closeListeners();
    await this.observing?.close();
  }

  private get all(): Map<string, Server> {
    const all = new Map([...this.listeners].map(([name, { socket }]) => [name, socket]));
    if (this.observing) all.set(OBSERVE, this.observing.socket);
    return all;
  }

  /** Opens, again and again, until that succeeds or is not wanted any more. */
  private async again(clock: Clock, isOver: () => boolean, open: () => Promise<void>): Promise<void> {
    for (let pauseMs = PAUSE_MS; !isOver(); pauseMs = Math.min(2 * pauseMs, LONG_PAUSE_MS)) {
      const isOpen = await open().then(
        () => true,
        () => false,
      );
      if (isOpen) return;
      await sleep(clock, pauseMs);
    }
  }
}

const ATTEMPTS = 50;

/** Opens a socket whose address another process of ours has just let go of. */
export async function persistently<T>(clock: Clock, open: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open();
    } catch (error) {
      if (!isTaken(error) || attempt === ATTEMPTS) throw error;
      await sleep(clock, PAUSE_MS);
    }
  }
}

/** An address to bind, and the key of the configuration that names it. */
export interface WantedAddress {
  readonly key: string;
  readonly listen: ListenAddress;
}

/**
 * Binds the addresses together and frees them again. Returns the names of the predecessor's sockets that were in the
 * way. Throws `ConfigError` where another one is.
 * @param theirs what the predecessor can let go of, without what we have inherited
 */
export async function checkAddresses(
  wanted: readonly WantedAddress[],
  theirs: readonly NamedAddress[],
): Promise<string[]> {
  const left = [...theirs];
  const inTheWay: string[] = [];
  const probes: Server[] = [];
  try {
    for (const { key, listen } of wanted) {
      const probe = createServer();
      try {
        await listenOn(probe, { host: listen.host, port: listen.port });
        probes.push(probe);
      } catch (error) {
        if (!isTaken(error)) throw error;
        const name = take(left, error);
        if (name === undefined) throw new ConfigError([`${key}: ${formatListen(listen)} ${IN_USE}`]);
        inTheWay.push(name);
      }
    }
    return inTheWay;
  } finally {
    await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  }
}

const IN_USE =
  "is in use, and the old process can not free it: it is another one's, or systemd's, which then has to start this one too";

/** Takes the address that was in the way out of `left`: it becomes free for one. Its name; undefined where it is not there. */
function take(left: NamedAddress[], { address, port }: Taken): string | undefined {
  const at = left.findIndex((each) => each.port === port && overlap(each.host, address));
  return at < 0 ? undefined : left.splice(at, 1)[0]!.name;
}

const ANY = ['::', '0.0.0.0'];
const overlap = (a: string, b: string): boolean => a === b || [a, b].some((host) => ANY.includes(host));

/** As the system says it, names resolved. */
interface Taken {
  readonly address: string;
  readonly port: number;
}

const isTaken = (error: unknown): error is NodeJS.ErrnoException & Taken =>
  (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
