import type { Server } from 'node:net';
import { hostPort } from '../encoding/host-port.js';

/** `host:port` of a listener, as configurations write it. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const FORM = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/;

/** `127.0.0.1:8443`, `[::1]:8443`, `name:8443`; undefined where it is something else. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = FORM.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && port <= 65_535 ? { host, port } : undefined;
}

export const formatListen = ({ host, port }: ListenAddress): string => hostPort(host, port);

/** Connections that wait to be accepted; the system may allow fewer. */
export const BACKLOG = 1024;

/** An address or a path to bind, or the descriptor of a socket that listens already. */
export interface ListenTarget extends Partial<ListenAddress> {
  readonly path?: string;
  readonly fd?: number;
  readonly backlog?: number;
}

/** Resolves once the server listens. Rejects where the address is taken, or the descriptor is no such socket. */
export function listenOn(
  server: Pick<Server, 'listen' | 'once' | 'off'>,
  target: ListenTarget,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      server.off('error', settle).off('listening', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    server.once('error', settle).once('listening', settle);
    server.listen(target);
  });
}
