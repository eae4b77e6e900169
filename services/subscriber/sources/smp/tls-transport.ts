/**
 * Blocks over TLS on TCP (guide B.1, B.6). Certificates are not judged here: `checkIdentity` does it by the pinned
 * fingerprint. Addresses are: nothing that the guard forbids is ever dialled.
 */
import { constants } from 'node:crypto';
import { lookup } from 'node:dns';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type DetailedPeerCertificate,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import { connectThroughSocks, type Endpoint } from '../../../../shared/run/socks5.js';
import { BlockReader } from '../../../../shared/smp/block.js';
import { type AddressGuard, ForbiddenAddressError, type Resolve, withoutBrackets } from './address-guard.js';
import { isOnion } from './servers.js';
import type { Dial, DialOptions, Transport, TransportEvents } from './transport.js';

const KEEP_ALIVE_MS = 30_000;
const MAX_CHAIN = 5;

/** TLS 1.2 only for peers that have nothing newer. */
const TLS: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  ciphers: 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305',
  sigalgs: 'ed448:ed25519',
  ecdhCurve: 'X448:X25519',
  // Older servers do not signal secure renegotiation (guide B.1); connections here never renegotiate.
  secureOptions: constants.SSL_OP_LEGACY_SERVER_CONNECT | constants.SSL_OP_NO_RENEGOTIATION,
};

export interface TlsDialOptions {
  readonly guard: AddressGuard;
  /** Bytes of a block: 16,384 for SMP. */
  readonly blockSize: number;
  /** ALPN protocol to offer; without one servers fall back to SMP v6. */
  readonly alpn: string | undefined;
  /** Resolves names; the system's resolver unless a test says otherwise. */
  readonly resolve?: Resolve;
  /** The service's certificate and key, PEM, for connections that are made as a service. */
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
  /** The SOCKS5 proxy through which everything goes; names are resolved by it. */
  readonly proxy?: Endpoint | undefined;
}

/** Dials over TCP and TLS. Rejects with `ForbiddenAddressError` where the guard refuses, and `SocksError`. */
export function tlsDial(options: TlsDialOptions): Dial {
  const { guard, blockSize, alpn, certificate, proxy } = options;
  // One context for all connections of a kind: it saves 10 KB a connection.
  const ordinary = createSecureContext(TLS);
  const service = certificate && createSecureContext({ ...TLS, ...certificate });
  return async (target, signal) => {
    const way = proxy ? await throughProxy(guard, proxy, target, signal) : direct(options, target);
    const secureContext = target.asService && service ? service : ordinary;
    const socket = connect({
      ...way,
      servername: '', // no SNI: it would lead to the web server on the same port (guide B.4)
      rejectUnauthorized: false,
      secureContext,
      ...(alpn !== undefined && { ALPNProtocols: [alpn] }),
    });
    if (proxy) target.connected?.();
    else socket.once('connect', () => target.connected?.());
    const sessionId = await handshake(socket, signal);
    // Belt and braces: whatever led here, this is the address that was dialled.
    if (proxy || guard.permits(socket.remoteAddress ?? ''))
      return new TlsTransport(socket, sessionId, blockSize);
    socket.destroy();
    throw new ForbiddenAddressError();
  };
}

function direct({ guard, resolve = lookup }: TlsDialOptions, { host, port }: DialOptions): ConnectionOptions {
  if (isOnion(host)) throw new Error('needs a proxy'); // DNS must not see the name (RFC 7686)
  if (guard.refuses(host)) throw new ForbiddenAddressError();
  return { host: withoutBrackets(host), port, lookup: guard.lookup(resolve) };
}

async function throughProxy(
  guard: AddressGuard,
  proxy: Endpoint,
  { host, port, circuit }: DialOptions,
  signal: AbortSignal,
): Promise<ConnectionOptions> {
  if (guard.refusesByProxy(host)) throw new ForbiddenAddressError();
  const target = { host: withoutBrackets(host), port };
  return { socket: await connectThroughSocks({ proxy, target, isolation: circuit }, signal) };
}

/** The client's Finished message, once the peer's has come. */
function handshake(socket: TLSSocket, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((done, fail) => {
    const abort = (): void => void socket.destroy(new Error('given up'));
    signal.addEventListener('abort', abort, { once: true });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('closed'))); // no effect once done
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', abort);
      const sessionId = socket.getFinished();
      if (sessionId) done(sessionId);
      else socket.destroy(new Error('no session'));
    });
    if (signal.aborted) abort();
  });
}

/**
 * The peer's certificates in the order of issue. `getPeerX509Certificate` would take the leaf out of OpenSSL's
 * hands, and a second call finds nothing; this one can be repeated.
 */
function peerChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (certificate?.raw && chain.length < MAX_CHAIN) {
    chain.push(certificate.raw);
    const issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate;
    certificate = issuer?.fingerprint256 === certificate.fingerprint256 ? undefined : issuer;
  }
  return chain;
}

class TlsTransport implements Transport {
  readonly sessionId: Uint8Array;
  readonly chain: readonly Uint8Array[];
  readonly asksCertificate: boolean;
  private readonly socket: TLSSocket;
  private readonly reader: BlockReader;
  /** Blocks that came while paused: those of one read, for no other is made. */
  private waiting: Uint8Array[] = [];
  private paused = true;
  private events: TransportEvents | undefined;

  constructor(socket: TLSSocket, sessionId: Uint8Array, blockSize: number) {
    this.socket = socket;
    this.sessionId = Uint8Array.from(sessionId);
    this.chain = peerChain(socket);
    // A client shares signature algorithms with its peer only where that one asked for a certificate.
    this.asksCertificate = socket.getSharedSigalgs().length > 0;
    this.reader = new BlockReader(blockSize);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.events?.closed());
    socket.on('end', () => socket.destroy());
    socket.on('drain', () => this.events?.drained());
    socket.on('data', (bytes) => this.collect(bytes));
    socket.pause();
  }

  listen(events: TransportEvents): void {
    this.events = events;
    this.paused = false;
    setImmediate(() => {
      if (this.socket.destroyed) this.events?.closed();
      else this.deliver();
    });
  }

  pause(): void {
    this.paused = true;
    this.socket.pause();
  }

  send(block: Uint8Array): boolean {
    return this.socket.write(block);
  }

  close(): void {
    this.events = undefined;
    this.waiting = [];
    this.socket.destroy();
  }

  private collect(bytes: Uint8Array): void {
    this.events?.heard();
    this.waiting.push(...this.reader.push(bytes));
    this.deliver();
  }

  private deliver(): void {
    while (!this.paused) {
      const block = this.waiting.shift();
      if (!block) break;
      this.events?.block(block);
    }
    if (!this.paused) this.socket.resume();
  }
}
