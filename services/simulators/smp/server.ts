/**
 * The SMP stand-in: a messaging server that speaks the real protocol over real TLS, with a real server's timing and
 * losses, and with faults that can be ordered. For the demo and for tests on loopback; it keeps everything in memory.
 */
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { decodePrivateKey, ofAlgorithm } from '../../../shared/encoding/keys.js';
import type { ServerAddress } from '../../../shared/smp/address.js';
import { SMP_SERVER_ALPN } from '../../../shared/smp/constants.js';
import { Broker } from './broker.js';
import { Connection, type ConnectionParts } from './connection.js';
import { type ControlServer, startControl } from './control.js';
import { newCounters, type SmpCounters } from './counters.js';
import { FaultScript } from './faults.js';
import { createSmpIdentity, type SmpIdentity, tlsCredentials } from './identity.js';
import { SMP_LIMITS, SMP_TIMING, type SmpStandInOptions, STAND_IN_VERSIONS } from './options.js';
import { loadState, saveState } from './state.js';
import { bareWire, type Wire, webSocketUpgrader } from './wire.js';

const LOOPBACK = '127.0.0.1';

export interface SmpStandIn {
  readonly host: string;
  readonly port: number;
  readonly webSocketPort: number | undefined;
  readonly controlPort: number | undefined;
  readonly identity: SmpIdentity;
  /** As clients name it: host, port and fingerprint. */
  readonly address: ServerAddress;
  readonly faults: FaultScript;
  /** A copy. */
  counters(): SmpCounters & {
    readonly connections: number;
    readonly queues: number;
    readonly subscriptions: number;
  };
  /** Loses all services and associations, as a server does that went back to an old version. */
  forgetServices(): void;
  /** Cuts every connection; the listener stays. */
  dropConnections(): void;
  /** Stops listening and cuts every connection. Not graceful: messages and notifications are lost as well. */
  down(options?: { readonly graceful?: boolean }): Promise<void>;
  /** Listens again, on the same port. */
  up(): Promise<void>;
  /** Both. */
  restart(options?: { readonly graceful?: boolean }): Promise<void>;
  /** Ends it, after writing the state file. */
  close(): Promise<void>;
}

/** Listens when this resolves. Rejects where a port is taken or the state file is unreadable. */
export async function startSmpServer(options: SmpStandInOptions): Promise<SmpStandIn> {
  const server = new StandIn(options);
  await server.up();
  if (options.controlPort !== undefined) server.control = await startControl(server, options.controlPort);
  return server;
}

class StandIn implements SmpStandIn {
  readonly host: string;
  readonly identity: SmpIdentity;
  readonly faults: FaultScript;
  port: number;
  webSocketPort: number | undefined;
  control: ControlServer | undefined;
  private readonly services: boolean;
  private readonly stateFile: string | undefined;
  private readonly parts: ConnectionParts;
  private readonly open = new Set<Connection>();
  /** Sockets still in their TLS handshake, too. */
  private readonly sockets = new Set<Socket>();
  private readonly maxTls: 'TLSv1.2' | 'TLSv1.3';
  private listeners: Server[] = [];

  constructor(options: SmpStandInOptions) {
    const { crypto, clock, host = LOOPBACK, port = 0 } = options;
    const timing = { ...SMP_TIMING, ...options.timing };
    const limits = { ...SMP_LIMITS, ...options.limits };
    const counters = newCounters();
    this.host = host;
    this.port = port;
    this.webSocketPort = options.webSocketPort;
    this.maxTls = options.maxTls ?? 'TLSv1.3';
    this.services = options.services ?? true;
    this.stateFile = options.stateFile;
    this.identity = options.identity ?? createSmpIdentity(new Date(clock.now()));
    this.faults = new FaultScript(clock, limits.faults);
    const { identity, faults } = this;
    const broker = new Broker({ crypto, clock, timing, limits, faults, counters });
    if (this.stateFile) loadState(this.stateFile, broker);
    this.parts = {
      crypto,
      clock,
      timing,
      limits,
      identity,
      keyHash: crypto.sha256(identity.caCert),
      signingKey: ofAlgorithm(decodePrivateKey(identity.leafKey), 'ed25519', 'ed448'),
      versions: options.versions ?? STAND_IN_VERSIONS,
      broker,
      faults,
      counters,
    };
  }

  get controlPort(): number | undefined {
    return this.control?.port;
  }

  get address(): ServerAddress {
    return { hosts: [this.host], port: String(this.port), keyHash: this.parts.keyHash };
  }

  counters(): ReturnType<SmpStandIn['counters']> {
    const { broker, counters } = this.parts;
    return {
      ...counters,
      connections: this.open.size,
      queues: broker.store.size,
      subscriptions: broker.notifierSubscriptions,
    };
  }

  forgetServices(): void {
    this.parts.broker.forgetServices();
  }

  dropConnections(): void {
    for (const socket of this.sockets) socket.destroy();
    for (const connection of this.open) connection.close();
  }

  async up(): Promise<void> {
    if (this.listeners.length > 0) return;
    this.port = await this.listen(this.port, (socket) => this.serve(bareWire(socket)));
    if (this.webSocketPort !== undefined) {
      const upgrader = webSocketUpgrader((wire) => this.serve(wire));
      const upgrade = (socket: TLSSocket): void => void upgrader.emit('connection', socket);
      this.webSocketPort = await this.listen(this.webSocketPort, upgrade);
    }
    this.parts.broker.start();
  }

  async down({ graceful = true }: { readonly graceful?: boolean } = {}): Promise<void> {
    const listeners = this.listeners.splice(0);
    this.parts.broker.stop();
    if (!graceful) this.parts.broker.loseContents();
    const closed = listeners.map((listener) => new Promise((resolve) => listener.close(resolve)));
    this.dropConnections();
    await Promise.all(closed);
  }

  async restart(options?: { readonly graceful?: boolean }): Promise<void> {
    await this.down(options);
    await this.up();
  }

  async close(): Promise<void> {
    await this.down();
    await this.control?.close();
    if (this.stateFile) saveState(this.stateFile, this.parts.broker);
  }

  /** @param secured takes sockets whose TLS handshake is done @returns the port */
  private async listen(port: number, secured: (socket: TLSSocket) => void): Promise<number> {
    const listener = createServer({
      ...tlsCredentials(this.identity),
      minVersion: 'TLSv1.2',
      maxVersion: this.maxTls,
      ciphers: 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305',
      sigalgs: 'ed448:ed25519',
      ecdhCurve: 'X448:X25519',
      requestCert: this.services,
      rejectUnauthorized: false, // what a client shows is judged in the handshake
      // No extension: version 6; nothing in common: Node sends the alert that a real server sends (guide B.2).
      ALPNProtocols: [...SMP_SERVER_ALPN],
    });
    this.listeners.push(listener);
    listener.on('connection', (socket: Socket) => this.admit(socket));
    listener.on('secureConnection', secured);
    listener.on('tlsClientError', () => {}); // the socket is gone already
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, this.host, resolve);
    });
    return (listener.address() as AddressInfo).port;
  }

  private serve(wire: Wire): void {
    const connection = new Connection(wire, this.parts);
    this.open.add(connection);
    wire.socket.on('close', () => this.open.delete(connection));
  }

  private admit(socket: Socket): void {
    if (this.faults.refusing || this.sockets.size >= this.parts.limits.connections) {
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
  }
}
