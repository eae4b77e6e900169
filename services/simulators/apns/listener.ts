/**
 * TLS and HTTP/2 of one environment. Clients without ALPN or SNI are served too: HTTP/2 is all that is spoken here.
 * Can go down, taking its connections along, and come up again on the same port.
 */
import { performServerHandshake } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Environment } from '../../../shared/relay/identity.js';
import { SimulatedConnection, type World } from './connection.js';
import type { ServerCertificate } from './options.js';

/** Megabytes of HTTP/2 state a connection may hold: a thousand bodies of 5 KB and their streams. */
const SESSION_MEMORY = 64;

export interface ListenerOptions {
  readonly world: World;
  readonly environment: Environment;
  readonly certificate: ServerCertificate;
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
}

export class Listener {
  /** The port it has once it was up. */
  port: number;
  readonly connections = new Set<SimulatedConnection>();
  private readonly options: ListenerOptions;
  private readonly sockets = new Set<TLSSocket>();
  /** Every connection below TLS, those still in their handshake, too. */
  private readonly raw = new Set<Socket>();
  private server: Server | undefined;

  constructor(options: ListenerOptions) {
    this.options = options;
    this.port = options.port;
  }

  /** Listens; harmless where it already does. */
  async up(): Promise<void> {
    if (this.server !== undefined) return;
    const { cert, key } = this.options.certificate;
    const server = createServer({ cert, key, ALPNProtocols: ['h2'], minVersion: 'TLSv1.2' });
    this.server = server;
    server.on('connection', (socket: Socket) => {
      this.raw.add(socket);
      socket.on('close', () => this.raw.delete(socket));
    });
    server.on('secureConnection', (socket) => this.accept(socket));
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, this.options.host, resolve);
    });
    this.port = (server.address() as AddressInfo).port;
  }

  /** Refuses new connections and cuts the ones that are there. */
  async down(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    for (const socket of this.sockets) socket.destroy();
    for (const socket of this.raw) socket.destroy();
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  private accept(socket: TLSSocket): void {
    const { world, environment, maxConnections } = this.options;
    socket.on('error', () => {});
    const faults = world.script.faults({ on: 'connection' });
    if (this.sockets.size >= maxConnections || faults.some((fault) => 'refuse' in fault)) {
      world.counters.add('refused');
      socket.destroy();
      return;
    }
    world.counters.add('connections');
    this.sockets.add(socket);
    const session = performServerHandshake(socket, {
      settings: { maxConcurrentStreams: 1 },
      maxSessionMemory: SESSION_MEMORY,
    });
    const connection = new SimulatedConnection(world, environment, session, socket);
    this.connections.add(connection);
    socket.on('close', () => {
      this.sockets.delete(socket);
      this.connections.delete(connection);
    });
    if (faults.some((fault) => 'silence' in fault)) connection.silence();
  }
}
