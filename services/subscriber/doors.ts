/** The sockets by which a subscriber is reached, opened one after another and closed together. */
import { createServer, type Server } from 'node:net';
import { type Clock, sleep } from '../../shared/run/clock.js';
import { ConfigError } from '../../shared/run/config.js';
import type { ControlSocket } from '../../shared/run/control.js';
import { formatListen, type ListenAddress, listenOn } from '../../shared/run/listen.js';
import type { ObserveListener } from '../../shared/run/observe.js';
import type { NtfListener } from './clients/listener.js';
import type { NamedAddress } from './handover/frames.js';

/** Name of the second listener's socket; no listener for phones can have it. */
export const OBSERVE = 'observe';

export class Doors {
  readonly listeners = new Map<string, NtfListener>();
  observing: ObserveListener | undefined;
  control: ControlSocket | undefined;

  /** The listening ones that phones and monitors know, by name. */
  get sockets(): ReadonlyMap<string, Server> {
    const found = new Map([...this.listeners].map(([name, { socket }]) => [name, socket]));
    if (this.observing) found.set(OBSERVE, this.observing.socket);
    return found;
  }

  /** Where they listen. */
  get addresses(): NamedAddress[] {
    return [...this.sockets].flatMap(([name, socket]) => {
      const at = socket.address();
      return at === null || typeof at === 'string' ? [] : [{ name, host: at.address, port: at.port }];
    });
  }

  async closeListeners(): Promise<void> {
    await Promise.all([...this.listeners.values()].map((listener) => listener.close()));
  }

  /** The same, and the connections of the control socket. */
  async end(): Promise<void> {
    await this.close();
    await this.control?.close();
  }

  /** Closes all connections but those of the control socket, where a successor may be told of it. */
  async close(): Promise<void> {
    this.control?.release();
    await this.closeListeners();
    await this.observing?.close();
  }
}

const ATTEMPTS = 50;
const PAUSE_MS = 100;

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
 * Rejects where the addresses can't be bound together, once the predecessor has let go of its own. `ConfigError` where
 * others have one.
 * @param theirs what the predecessor lets go of and we have not inherited; undefined where it doesn't say
 */
export async function checkAddresses(
  wanted: readonly WantedAddress[],
  theirs: readonly ListenAddress[] | undefined,
): Promise<void> {
  const left = theirs && [...theirs];
  const probes: Server[] = [];
  try {
    for (const { key, listen } of wanted) {
      const probe = createServer();
      try {
        await listenOn(probe, { host: listen.host, port: listen.port });
        probes.push(probe);
      } catch (error) {
        if (!isTaken(error)) throw error;
        if (left && !take(left, error)) {
          throw new ConfigError([`${key}: ${formatListen(listen)} is in use, and not by the old process`]);
        }
      }
    }
  } finally {
    await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  }
}

/** Takes the address that was in the way out of `left`: it becomes free for one. False where it is none of them. */
function take(left: ListenAddress[], { address, port }: Taken): boolean {
  const at = left.findIndex((each) => each.port === port && overlap(each.host, address));
  if (at >= 0) left.splice(at, 1);
  return at >= 0;
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
