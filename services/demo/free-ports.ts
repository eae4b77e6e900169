/**
 * Loopback ports that are free now: a restarted service must come back at the address that others know. They lie
 * below those that systems give to outgoing connections, one of which could take a port before its service does.
 */
import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

const LOWEST = 15_000;
const HIGHEST = 32_000;
/** Taken ports that are passed over before giving up. */
const MAX_TRIES = 200;

/** `count` different ports, held together so that none is given out twice, then released. Rejects where all are taken. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  for (let tries = 0; held.size < count && tries < MAX_TRIES + count; tries++) {
    const port = randomInt(LOWEST, HIGHEST);
    const server = await listen(port);
    if (server !== undefined) held.set(port, server);
  }
  await Promise.all([...held.values()].map((server) => new Promise((resolve) => server.close(resolve))));
  if (held.size < count) throw new Error('no free ports on this machine');
  return [...held.keys()];
}

/** Undefined where the port is taken. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
