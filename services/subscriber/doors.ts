/** The sockets by which a subscriber is reached, opened one after another and closed together. */
import { createServer, type Server } from 'node:net';
import { type Clock, sleep } from '../../shared/run/clock.js';
import type { ControlSocket } from '../../shared/run/control.js';
import { type ListenAddress, listenOn } from '../../shared/run/listen.js';
import type { ObserveListener } from '../../shared/run/observe.js';
import type { NtfListener } from './clients/listener.js';

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

/** Rejects where an address can't be bound, unless because a process has it: ours may be waiting for it to let go. */
export async function checkAddresses(addresses: readonly ListenAddress[]): Promise<void> {
  for (const { host, port } of addresses) {
    const probe = createServer();
    try {
      await listenOn(probe, { host, port });
      await new Promise((resolve) => probe.close(resolve));
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
}

const isTaken = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
