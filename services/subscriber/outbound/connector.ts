/**
 * Connections to a gateway: TLS 1.2 or 1.3, HTTP/1.1, trusted by an ordinary certificate or by the key that the
 * gateway's signed statement names (relay.md §1). Hands out only sockets whose peer `trust` accepted.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { buildConnector } from 'undici';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import type { Clock } from '../../../shared/run/clock.js';
import { connectThroughSocks, type Endpoint } from '../../../shared/run/socks5.js';

/** Opens a byte stream to a host: plain TCP here; through a SOCKS5 proxy where one is wanted. */
export type Dial = (host: string, port: number, signal: AbortSignal) => Promise<Socket>;

/** What a peer showed in the TLS handshake. */
export interface TlsPeer {
  /** Its certificate leads to a trusted authority and names the host. */
  readonly authorized: boolean;
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly spkiHash: Uint8Array;
}

/** Why there is no connection; carries no address. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError';
  readonly reason: 'unreachable' | 'timeout' | 'untrusted';

  constructor(reason: ConnectError['reason']) {
    super(reason);
    this.reason = reason;
  }
}

export interface ConnectorOptions {
  readonly host: string;
  readonly port: number;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca: string | undefined;
  readonly dial: Dial;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Whether this peer may be talked to. */
  readonly trust: (peer: TlsPeer) => boolean;
}

const KEEP_ALIVE_MS = 30_000;

export const dialTcp: Dial = (host, port, signal) =>
  new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port, signal, noDelay: true });
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.once('connect', () => resolve(socket)).once('error', reject);
  });

/** Dials through a SOCKS5 proxy, which also resolves the name. */
export const dialThrough =
  (proxy: Endpoint): Dial =>
  (host, port, signal) =>
    connectThroughSocks({ proxy, target: { host, port } }, signal);

/** A connector for undici. Fails with `ConnectError` only. */
export function createConnector(options: ConnectorOptions): buildConnector.connector {
  return (_target, done) => {
    connect(options).then(
      (socket) => done(null, socket),
      (error) => done(error instanceof ConnectError ? error : new ConnectError('unreachable'), null),
    );
  };
}

async function connect(options: ConnectorOptions): Promise<TLSSocket> {
  const abort = new AbortController();
  const timer = options.clock.after(options.timeoutMs, () => abort.abort(new ConnectError('timeout')));
  try {
    const raw = await options.dial(options.host, options.port, abort.signal);
    const socket = await handshake(raw, options, abort.signal);
    if (options.trust(peerOf(socket, options.crypto))) return socket;
    socket.destroy();
    throw new ConnectError('untrusted');
  } catch (error) {
    throw abort.signal.aborted ? abort.signal.reason : error;
  } finally {
    timer.cancel();
  }
}

function handshake(raw: Socket, options: ConnectorOptions, signal: AbortSignal): Promise<TLSSocket> {
  const { host, ca } = options;
  const socket = connectTls({
    socket: raw,
    host,
    servername: isIP(host) === 0 ? host : '',
    ALPNProtocols: ['http/1.1'],
    // Judged by `trust`, which also knows the keys of self-signed gateways.
    rejectUnauthorized: false,
    ...(ca !== undefined && { ca }),
  });
  return new Promise((resolve, reject) => {
    const stop = (): void => void socket.destroy(new ConnectError('timeout'));
    signal.addEventListener('abort', stop, { once: true });
    // More than once: the signal destroys the socket below as well, and both say so here.
    socket.on('error', reject).once('close', () => reject(new ConnectError('unreachable')));
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', stop);
      resolve(socket);
    });
  });
}

/** Asks for the certificate once: Node's getter is destructive on the client side. */
function peerOf(socket: TLSSocket, crypto: Crypto): TlsPeer {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new ConnectError('untrusted');
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return { authorized: socket.authorized, spkiHash: crypto.sha256(spki) };
}
