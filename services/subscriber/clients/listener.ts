/**
 * The NTF server of one app (guide B, H): accepts TLS connections of unmodified SimpleX clients and gives each one
 * a `Connection`. Connections, handshakes and silence are bounded here; what commands do is in `handlers.ts`.
 */
import { constants } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { Deadlines } from '../../../shared/memory/deadlines.js';
import { NTF_ALPN } from '../../../shared/ntf/constants.js';
import type { Clock } from '../../../shared/run/clock.js';
import { BACKLOG, type ListenAddress, listenOn } from '../../../shared/run/listen.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { GatewayLink } from '../outbound/gateway-link.js';
import type { WakeEngine } from '../wake/wake.js';
import { AddressLimits, type HandshakeRate } from './address-limits.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { type Devices, Handlers } from './handlers.js';
import type { NtfIdentity } from './identity.js';
import type { clientMetrics } from './metrics.js';
import { TokenSealer } from './token-sealing.js';

export interface NtfListenerOptions {
  /** The listener's name in the configuration. */
  readonly name: string;
  readonly listen: ListenAddress;
  /** A socket that listens already: descriptor. Instead of binding `listen`. */
  readonly fd?: number | undefined;
  /** Settles when commands may run; undefined where they may now. */
  readonly held?: () => Promise<void> | undefined;
  readonly identity: NtfIdentity;
  /** Bundle id of the app that it serves. */
  readonly topic: string;
  /** SHA-256(our raw public key)[0..16] (relay.md §1). */
  readonly subscriberTag: Uint8Array;
  /** 32 bytes, random per process, the same for all listeners: token hashes and DH keys are made under it. */
  readonly processKey: Uint8Array;
  readonly link: Pick<GatewayLink, 'facts'>;
  readonly devices: Devices;
  readonly wake: Pick<WakeEngine, 'verify' | 'giveUp' | 'prove' | 'checksChanged'>;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof clientMetrics>;
  readonly limits?: Partial<NtfListenerLimits>;
}

export interface NtfListenerLimits {
  /** Open connections of one listener; a further one is closed at once. */
  readonly connections: number;
  /** For the TLS handshake, and again for the NTF handshake. */
  readonly handshakeMs: number;
  /** Without a byte from the client. Stock agents keep connections for hours in silence (guide I.1). */
  readonly idleMs: number;
  /** Handshakes that one address may start (IPv4 /32, IPv6 /64). */
  readonly handshakes: HandshakeRate;
  /** The same for loopback, where a proxy or a Tor daemon stands for many. */
  readonly loopbackHandshakes: HandshakeRate;
  /** Addresses remembered for that. */
  readonly addresses: number;
}

const DEFAULTS: NtfListenerLimits = {
  connections: 20_000,
  handshakeMs: 30_000,
  idleMs: 24 * 3_600_000,
  handshakes: { burst: 60, perSecond: 1 },
  loopbackHandshakes: { burst: 2_000, perSecond: 500 },
  addresses: 50_000,
};

/** The operating system asks a silent peer after this long, so that vanished phones don't stay for a day. */
const KEEP_ALIVE_MS = 120_000;
const TCP_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };

export interface NtfListener {
  readonly port: number;
  /** The listening socket, to be inherited by a child. */
  readonly socket: Server;
  /** Connections open now, handshakes included. */
  readonly connections: number;
  /** Stops accepting and closes all connections. */
  close(): Promise<void>;
}

/** Starts listening. Rejects where the address is taken or the identity can't be used. */
export async function startNtfListener(options: NtfListenerOptions): Promise<NtfListener> {
  const listener = new Listener(options);
  await listener.start();
  return listener;
}

class Listener implements NtfListener {
  /** Kept: a socket that is lent to a successor has no address. */
  port = 0;
  private readonly options: NtfListenerOptions;
  private readonly limits: NtfListenerLimits;
  readonly socket: Server;
  private readonly tls: TlsServer;
  private readonly sockets = new Set<Socket>();
  private readonly addresses: AddressLimits;
  private readonly deadlines: Deadlines<Connection>;
  private readonly connection: ConnectionOptions;
  private isClosed = false;

  constructor(options: NtfListenerOptions) {
    const { clock, identity, metrics } = options;
    this.options = options;
    this.limits = { ...DEFAULTS, ...options.limits };
    const { handshakes, loopbackHandshakes, addresses, handshakeMs, idleMs } = this.limits;
    this.addresses = new AddressLimits({
      clock,
      perAddress: handshakes,
      loopback: loopbackHandshakes,
      addresses,
    });
    this.deadlines = new Deadlines(clock, (connection) => connection.due());
    const sealer = new TokenSealer({ ...options, hashKey: options.processKey });
    const handlers = new Handlers({ ...options, listener: options.name, sealer });
    const isClosed = (): boolean => this.isClosed;
    this.connection = { ...options, handlers, deadlines: this.deadlines, isClosed, handshakeMs, idleMs };
    this.socket = createServer(TCP_OPTIONS, (socket) => this.accept(socket));
    this.tls = createTlsServer(tlsOptions(identity, handshakeMs));
    this.tls.on('secureConnection', (socket) => this.secured(socket));
    this.tls.on('tlsClientError', (_, socket) => {
      metrics.clients_refused_total.inc({ cause: 'tls' });
      socket.destroy();
    });
  }

  get connections(): number {
    return this.sockets.size;
  }

  async start(): Promise<void> {
    const { fd, listen } = this.options;
    await listenOn(this.socket, { ...(fd === undefined ? listen : { fd }), backlog: BACKLOG });
    this.port = (this.socket.address() as AddressInfo).port;
    this.socket.on('error', () => this.options.log.error('listener failed', { name: this.options.name }));
    this.options.log.info('listening', { name: this.options.name, port: this.port });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const closed = new Promise<void>((resolve) => this.socket.close(() => resolve()));
    this.deadlines.clear();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Before TLS: a refused connection costs no cryptography. */
  private accept(socket: Socket): void {
    const { metrics } = this.options;
    const cause = this.refusal(socket);
    if (cause !== undefined) {
      metrics.clients_refused_total.inc({ cause });
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    metrics.clients_connections_total.inc();
    socket.once('close', () => {
      this.sockets.delete(socket);
      metrics.clients_connections_ended_total.inc();
    });
    this.tls.emit('connection', socket);
  }

  private refusal(socket: Socket): 'full' | 'address' | undefined {
    if (this.sockets.size >= this.limits.connections) return 'full';
    return this.addresses.take(socket.remoteAddress) ? undefined : 'address';
  }

  private secured(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    if (this.isClosed) {
      socket.destroy();
      return;
    }
    if (this.options.link.facts === undefined) {
      // Nothing can be sealed yet: the client tries again, where an error would be final.
      this.options.metrics.clients_refused_total.inc({ cause: 'not-ready' });
      socket.destroy();
      return;
    }
    new Connection(socket, this.connection).start();
  }
}

/** OpenSSL overwrites what it decrypted once it was read; else tokens stay in buffers freed with their connections. */
const SSL_OP_CLEANSE_PLAINTEXT = 2;

/** No handshake after the first: it would make another session of the one that commands are signed for. */
const SECURE_OPTIONS =
  constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT;

/** Guide B.1: what stock clients offer, nothing else. Sessions are never resumed. */
const tlsOptions = (identity: NtfIdentity, handshakeTimeout: number) => ({
  cert: identity.chain,
  key: identity.privateKey,
  minVersion: 'TLSv1.2' as const,
  maxVersion: 'TLSv1.3' as const,
  ciphers: 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305',
  ecdhCurve: 'X448:X25519',
  sigalgs: 'ed448:ed25519',
  secureOptions: SECURE_OPTIONS,
  ALPNCallback: chooseProtocol,
  handshakeTimeout,
});

/** The client's first that is known; none known is alert 120; not asked at all is version 1 (guide B.2). */
const chooseProtocol = ({ protocols }: { readonly protocols: readonly string[] }): string | undefined =>
  protocols.find((protocol) => (NTF_ALPN as readonly string[]).includes(protocol));
