/**
 * The control socket of a running service: a Unix socket of mode 0600, so that only the same user can speak to it.
 * One JSON object a line: a request, then answers, the last of which says `done` or `error`. Answers carry kinds,
 * counts, times and closed words, never a user's secret.
 */
import { chmodSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Clock } from './clock.js';
import { ConfigError } from './config.js';
import { isCredential } from './files.js';
import { listenOn } from './listen.js';
import type { Log } from './log.js';

const MAX_LINE = 4_096;
const MAX_CONNECTIONS = 8;
/** From the connection to its request. */
const REQUEST_MS = 10_000;
/** `sun_path` has 108 bytes on Linux and 104 elsewhere, a zero at the end. */
const MAX_PATH_BYTES = 103;
const ONLY_OWNER = 0o600;
const NEWLINE = 0x0a;

/** The section `control` of a configuration. */
export const controlSection = z.strictObject({ socket: z.string().min(1).optional() }).prefault({});

/** Where the socket is: as configured, or beside the service's identity key. Throws `ConfigError`. */
export function controlPath(config: {
  readonly control: { readonly socket?: string | undefined };
  readonly identity_key: string;
}): string {
  if (config.control.socket !== undefined) return config.control.socket;
  if (!isCredential(config.identity_key)) return join(dirname(config.identity_key), 'control.sock');
  throw new ConfigError(['control.socket: expected a path, since identity_key is a credential']);
}

/** A request that can't be answered, with a closed word for whoever asked. */
export class ControlRefusal extends Error {
  override readonly name = 'ControlRefusal';
}

/** Answers one request line by line; `gone` is aborted when nobody listens any more. */
export type ControlCommand = (
  request: Readonly<Record<string, unknown>>,
  say: (line: object) => void,
  gone: AbortSignal,
) => Promise<void>;

/** Takes over the connection behind its request, whatever is spoken on it then. `socket` is paused. */
export type ControlStream = (socket: Socket) => Promise<void>;

/** An upgrade put other files in their place: what is loaded late is missing, or does not go with what runs. */
const FILES_CHANGED =
  'what it takes can not be loaded: the files of the program were changed since it started; hand over to the new ones, or restart';

/** A command whose code is loaded when it is first asked for, so that it costs a service that never is nothing. */
export function lateCommand(load: () => Promise<ControlCommand>): ControlCommand {
  let loaded: ControlCommand | undefined;
  return async (...request) => {
    loaded ??= await load().catch(() => {
      throw new ControlRefusal(FILES_CHANGED);
    });
    return loaded(...request);
  };
}

export interface ControlOptions {
  readonly path: string;
  /** By the word that stands as `do` in a request. */
  readonly commands: Readonly<Record<string, ControlCommand>>;
  /** The same, for requests that go on in a protocol of their own. */
  readonly streams?: Readonly<Record<string, ControlStream>>;
  /** Settles when requests may be answered; undefined where they may now. */
  readonly held?: () => Promise<void> | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ControlSocket {
  /** Stops listening, so that another process can; connections stay. */
  release(): void;
  /** Listens again, if it does not. Throws `ConfigError` where another process does, or the socket can't be made. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** Listens when this resolves; takes the place of a socket that a killed process left. Throws `ConfigError`. */
export async function startControl(options: ControlOptions): Promise<ControlSocket> {
  const { path } = options;
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new ConfigError([`control.socket: expected a path of at most ${MAX_PATH_BYTES} bytes`]);
  }
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => sockets.delete(socket));
    serve(socket, options, () => sockets.delete(socket));
  });
  server.maxConnections = MAX_CONNECTIONS;
  let isClosed = false;
  const open = async (): Promise<void> => {
    if (server.listening) return;
    await removeLeftover(path);
    if (!isClosed) await listen(server, path);
  };
  await open();
  return {
    release() {
      if (server.listening) server.close();
    },
    reopen: open,
    close: () =>
      new Promise((resolve) => {
        isClosed = true;
        if (server.listening) server.close(() => resolve());
        else resolve();
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function removeLeftover(path: string): Promise<void> {
  const state = await new Promise<string | undefined>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve('alive');
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  if (state === 'alive')
    throw new ConfigError(['control.socket: another process listens there; is the service running already?']);
  if (state === 'ECONNREFUSED') unlinkSync(path);
}

/** The mask makes it 0600 from the first moment; `listen` on a path binds before it returns. */
async function listen(server: Server, path: string): Promise<void> {
  const before = process.umask(0o777 & ~ONLY_OWNER);
  let listening: Promise<void>;
  try {
    listening = listenOn(server, { path });
  } finally {
    process.umask(before);
  }
  await listening.catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError([`control.socket: cannot be made (${error.code ?? 'unknown'})`]);
  });
  server.unref(); // it never keeps a service alive that could not start
  chmodSync(path, ONLY_OWNER);
}

/** @param adopted called when a stream takes the connection over */
function serve(socket: Socket, options: ControlOptions, adopted: () => void): void {
  let held = Buffer.alloc(0);
  const deadline = options.clock.after(REQUEST_MS, () => socket.destroy());
  socket.on('close', () => deadline.cancel());
  const take = (chunk: Buffer): void => {
    held = Buffer.concat([held, chunk]);
    const end = held.indexOf(NEWLINE);
    if (end < 0 && held.length <= MAX_LINE) return;
    deadline.cancel();
    socket.off('data', take);
    socket.pause();
    const line = end < 0 ? '' : held.toString('utf8', 0, end);
    void dispatch(socket, line, held.subarray(end + 1), options, adopted);
  };
  socket.on('data', take);
}

/** @param rest what came behind the request */
async function dispatch(
  socket: Socket,
  line: string,
  rest: Uint8Array,
  options: ControlOptions,
  adopted: () => void,
): Promise<void> {
  await options.held?.();
  if (socket.destroyed) return;
  const stream = named(parsed(line)?.do, options.streams);
  if (stream === undefined) {
    socket.resume(); // so that its end is noticed
    await answer(socket, line, options);
  } else {
    socket.unshift(rest);
    adopted();
    await stream(socket).catch(() => options.log.error('control request failed'));
  }
}

function named<T>(word: unknown, table: Readonly<Record<string, T>> = {}): T | undefined {
  return typeof word === 'string' && Object.hasOwn(table, word) ? table[word] : undefined;
}

async function answer(socket: Socket, line: string, { commands, log }: ControlOptions): Promise<void> {
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  const say = (object: object): void => {
    if (!gone.signal.aborted) socket.write(`${JSON.stringify(object)}\n`);
  };
  try {
    const request = parsed(line);
    const command = named(request?.do, commands);
    if (!request || !command) throw new ControlRefusal('unknown request');
    await command(request, say, gone.signal);
    say({ done: true });
  } catch (error) {
    const isRefusal = error instanceof ControlRefusal;
    if (!isRefusal) log.error('control request failed');
    say({ error: isRefusal ? error.message : 'failed' });
  }
  socket.end();
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
