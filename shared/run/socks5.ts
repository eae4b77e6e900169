/**
 * Connections through a SOCKS5 proxy (RFC 1928), such as Tor. Names are resolved by the proxy, never here. A user
 * name (RFC 1929) is no secret but says which connections may share a way: Tor gives each name circuits of its own.
 */
import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { ipAddressBytes } from '../crypto/ip-address.js';
import { type Bytes, concat, utf8 } from '../encoding/bytes.js';
import { Writer } from '../encoding/writer.js';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface SocksRequest {
  readonly proxy: Endpoint;
  readonly target: Endpoint;
  /** Connections under the same name may share a way; without one no name is given. At most 255 bytes. */
  readonly isolation?: string | undefined;
}

/**
 * No connection through the proxy: it can't be talked to, does not take user names, or can't reach the target.
 * Carries no address.
 */
export class SocksError extends Error {
  override readonly name = 'SocksError';
  readonly code: 'proxy' | 'auth' | 'target';

  constructor(code: SocksError['code']) {
    super(`SOCKS: ${code}`);
    this.code = code;
  }
}

const VERSION = 5;
const METHOD = { none: 0, userName: 2 } as const;
const AUTH_VERSION = 1;
const CONNECT = 1;
const ADDRESS = { v4: 1, name: 3, v6: 4 } as const;
const MAX_NAME = 255;
const CHANGES = ['readable', 'end', 'close'] as const;
const KEEP_ALIVE_MS = 30_000;
/** Tor asks for one, and looks at both. */
const PASSWORD = 'x';

/** A byte stream to the target, nothing of it read yet. Rejects with `SocksError`, also when `signal` is aborted. */
export async function connectThroughSocks(request: SocksRequest, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ ...request.proxy, noDelay: true });
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  const ignore = (): void => {}; // told by the promise, or by whoever owns the socket afterwards
  socket.on('error', ignore);
  try {
    await once(socket, 'connect', { signal });
    const answers = new Answers(socket, signal);
    await agree(socket, answers, request.isolation);
    await ask(socket, answers, request.target);
    answers.release();
    return socket;
  } catch (error) {
    socket.destroy();
    throw error instanceof SocksError ? error : new SocksError('proxy');
  }
}

/** Offers one method only: a way that is not isolated would be no way. */
async function agree(socket: Socket, answers: Answers, isolation: string | undefined): Promise<void> {
  const method = isolation === undefined ? METHOD.none : METHOD.userName;
  socket.write(Uint8Array.of(VERSION, 1, method));
  const [version, chosen] = await answers.read(2);
  if (version !== VERSION) throw new SocksError('proxy');
  if (chosen !== method) throw new SocksError('auth');
  if (isolation === undefined) return;
  const login = new Writer().u8(AUTH_VERSION).shortString(utf8(isolation)).shortString(utf8(PASSWORD));
  socket.write(login.done());
  const [, status] = await answers.read(2);
  if (status !== 0) throw new SocksError('auth');
}

async function ask(socket: Socket, answers: Answers, { host, port }: Endpoint): Promise<void> {
  socket.write(
    new Writer()
      .bytes(Uint8Array.of(VERSION, CONNECT, 0))
      .bytes(address(host))
      .u16(port)
      .done(),
  );
  const [version, status, , type] = await answers.read(4);
  if (version !== VERSION) throw new SocksError('proxy');
  if (status !== 0) throw new SocksError('target');
  await answers.read((await boundLength(answers, type)) + 2);
}

function address(host: string): Bytes {
  const family = isIP(host);
  if (family !== 0) {
    return concat(Uint8Array.of(family === 4 ? ADDRESS.v4 : ADDRESS.v6), ipAddressBytes(host));
  }
  const name = utf8(host);
  if (name.length === 0 || name.length > MAX_NAME) throw new SocksError('target');
  return concat(Uint8Array.of(ADDRESS.name, name.length), name);
}

/** Bytes of the address that the proxy uses; nobody needs it. */
async function boundLength(answers: Answers, type: number | undefined): Promise<number> {
  if (type === ADDRESS.v4) return 4;
  if (type === ADDRESS.v6) return 16;
  if (type === ADDRESS.name) return (await answers.read(1))[0]!;
  throw new SocksError('proxy');
}

/**
 * Exact numbers of bytes from a socket; what follows them stays in it. Listens all the time: a listener that comes
 * anew for each wait would be told of the same few bytes over and over.
 */
class Answers {
  private readonly socket: Socket;
  private readonly signal: AbortSignal;
  private tell: () => void = () => {};

  constructor(socket: Socket, signal: AbortSignal) {
    this.socket = socket;
    this.signal = signal;
    for (const event of CHANGES) socket.on(event, this.changed);
    signal.addEventListener('abort', this.changed);
  }

  async read(size: number): Promise<Uint8Array> {
    const { socket, signal } = this;
    for (;;) {
      const bytes = socket.read(size) as Buffer | null;
      if (bytes?.length === size) return bytes;
      if (bytes !== null || socket.readableEnded || socket.destroyed || signal.aborted) {
        throw new SocksError('proxy');
      }
      await new Promise<void>((resolve) => {
        this.tell = resolve;
      });
    }
  }

  release(): void {
    for (const event of CHANGES) this.socket.off(event, this.changed);
    this.signal.removeEventListener('abort', this.changed);
  }

  private readonly changed = (): void => this.tell();
}
