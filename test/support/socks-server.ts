/** A SOCKS5 proxy on loopback that notes what it was asked; names lead where a test says. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface SocksRecord {
  /** The user name, if the client gave one. */
  readonly user: string | undefined;
  readonly type: 'v4' | 'v6' | 'name';
  readonly host: string;
  readonly port: number;
}

export interface SocksServerOptions {
  /** Ports on loopback by name; other names can't be reached. Addresses are connected to as they are. */
  readonly names?: Readonly<Record<string, number>>;
  /** Takes no user names. */
  readonly anonymous?: boolean;
  /** Bytes said instead of the first answer, one at a time. */
  readonly garbage?: Uint8Array;
  /** Never answers. */
  readonly deaf?: boolean;
}

export interface SocksServer {
  readonly port: number;
  readonly requests: SocksRecord[];
  /** Every connection that is open. */
  readonly open: number;
  close(): void;
}

export async function startSocksServer(options: SocksServerOptions = {}): Promise<SocksServer> {
  const requests: SocksRecord[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket, options, requests).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    get open() {
      return sockets.size;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function serve(client: Socket, options: SocksServerOptions, requests: SocksRecord[]): Promise<void> {
  const [, count] = await take(client, 2);
  const methods = [...(await take(client, count!))];
  if (options.deaf || options.garbage) client.resume(); // else nobody would see that it closes
  if (options.deaf) return;
  if (options.garbage) {
    for (const byte of options.garbage) client.write(Uint8Array.of(byte));
    return;
  }
  const wanted = options.anonymous ? 0 : (methods[0] ?? 0xff);
  client.write(Uint8Array.of(5, methods.includes(wanted) ? wanted : 0xff));
  const user = wanted === 2 ? await login(client) : undefined;
  const [, , , kind] = await take(client, 4);
  const { type, host } = await target(client, kind!);
  const port = (await take(client, 2)).readUInt16BE();
  requests.push({ user, type, host, port });
  const upstream = type === 'name' ? options.names?.[host] : port;
  if (upstream === undefined) {
    client.end(Uint8Array.of(5, 4, 0, 1, 0, 0, 0, 0, 0, 0));
    return;
  }
  pipe(client, connect({ host: type === 'name' ? '127.0.0.1' : host, port: upstream }));
}

async function login(client: Socket): Promise<string> {
  const [, length] = await take(client, 2);
  const user = (await take(client, length!)).toString('latin1');
  await take(client, (await take(client, 1))[0]!);
  client.write(Uint8Array.of(1, 0));
  return user;
}

async function target(client: Socket, kind: number): Promise<Pick<SocksRecord, 'type' | 'host'>> {
  if (kind === 1) return { type: 'v4', host: [...(await take(client, 4))].join('.') };
  if (kind === 3) {
    return { type: 'name', host: (await take(client, (await take(client, 1))[0]!)).toString('latin1') };
  }
  const groups = (await take(client, 16)).toString('hex').match(/.{4}/g)!;
  return { type: 'v6', host: groups.join(':') };
}

/** Answers with a name as bound address, the form that clients are most likely to trip over. */
function pipe(client: Socket, upstream: Socket): void {
  upstream.on('connect', () => {
    client.write(Uint8Array.of(5, 0, 0, 3, 2, 0x61, 0x62, 0, 1));
    client.pipe(upstream).pipe(client);
  });
  upstream.on('error', () => client.destroy());
  upstream.on('close', () => client.destroy());
  client.on('close', () => upstream.destroy());
}

async function take(socket: Socket, size: number): Promise<Buffer> {
  if (size === 0) return Buffer.alloc(0);
  for (;;) {
    const bytes = socket.read(size) as Buffer | null;
    if (bytes) return bytes;
    if (socket.destroyed || socket.readableEnded) throw new Error('closed');
    await new Promise((resolve) => socket.once('readable', resolve).once('close', resolve));
  }
}
