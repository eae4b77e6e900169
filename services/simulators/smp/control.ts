/**
 * The control connection, on loopback only: one JSON object a line in, one out, in order. Orders faults, restarts
 * and counters from another process; everything else is done with the real protocol.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { z } from 'zod';
import { utf8 } from '../../../shared/encoding/bytes.js';
import { decodeError } from '../../../shared/smp/errors.js';
import type { Fault } from './faults.js';
import type { SmpStandIn } from './server.js';

const MAX_LINE = 64 * 1024;
const MAX_CONNECTIONS = 16;

const times = z.int().min(1).max(1_000_000).optional();
const fault = z.union([
  z.strictObject({ kind: z.literal('refuse'), forMs: z.int().min(0) }),
  z.strictObject({ kind: z.enum(['drop', 'stall', 'garbage']), block: z.int().min(0), times }),
  /** `error` as on the wire: `AUTH`, `CMD PROHIBITED`, `INTERNAL`. */
  z.strictObject({
    kind: z.literal('answer'),
    word: z.enum(['NSUB', 'PING', 'NEW', 'SUB', 'KEY', 'SKEY', 'NKEY', 'NDEL', 'SEND', 'ACK', 'DEL']),
    error: z.string().transform((text) => decodeError(utf8(text))),
    times,
  }),
  z.strictObject({ kind: z.literal('delay'), ms: z.int().min(0), times }),
  z.strictObject({ kind: z.enum(['stranger', 'vanish']), times }),
]);

const request = z.union([
  z.strictObject({ do: z.literal('faults'), faults: z.array(fault) }),
  z.strictObject({ do: z.enum(['clear', 'drop', 'counters', 'up']) }),
  z.strictObject({ do: z.enum(['restart', 'down']), graceful: z.boolean().default(true) }),
]);
type Request = z.output<typeof request>;

export interface ControlServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startControl(standIn: SmpStandIn, port: number): Promise<ControlServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => sockets.delete(socket));
    serve(socket, standIn);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Answers one line after another; a line that is too long ends the connection. */
function serve(socket: Socket, standIn: SmpStandIn): void {
  let text = '';
  let done = Promise.resolve();
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop()!;
    if (text.length > MAX_LINE) socket.destroy();
    for (const line of lines) {
      done = done.then(async () => void socket.write(`${JSON.stringify(await answer(line, standIn))}\n`));
    }
  });
}

async function answer(line: string, standIn: SmpStandIn): Promise<object> {
  try {
    return { ok: true, ...(await obey(request.parse(JSON.parse(line)), standIn)) };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.name : 'Error' };
  }
}

async function obey(order: Request, standIn: SmpStandIn): Promise<object> {
  switch (order.do) {
    case 'faults':
      standIn.faults.add(...(order.faults as Fault[]));
      return {};
    case 'clear':
      standIn.faults.clear();
      return {};
    case 'drop':
      standIn.dropConnections();
      return {};
    case 'counters':
      return { counters: standIn.counters() };
    case 'up':
      await standIn.up();
      return {};
    default:
      await standIn[order.do](order);
      return {};
  }
}
