/**
 * TLS on TCP, directly or through a proxy, to messaging servers (guide B.1, B.4, B.5). Certificates are not judged
 * here: `checkIdentity` does it by the pinned fingerprint. Addresses are: nothing that the guard forbids is ever
 * dialled.
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
import { type AddressGuard, ForbiddenAddressError, type Resolve, withoutBrackets } from './address-guard.js';
import { isOnion } from './servers.js';
import type { DialOptions } from './transport.js';

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

export interface TlsOptions {
  readonly guard: AddressGuard;
  /** ALPN protocol to offer; without one servers fall back to SMP v6. */
  readonly alpn: string | undefined;
  /** Resolves names; the system's resolver unless a test says otherwise. */
  readonly resolve?: Resolve;
  /** The service's certificate and key, PEM, for connections that are made as a service. */
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
  /** The SOCKS5 proxy through which everything goes; names are resolved by it. */
  readonly proxy?: Endpoint | undefined;
}

/** A finished TLS handshake, and what it told. Nothing was read yet. */
export interface SecurePeer {
  readonly socket: TLSSocket;
  /** "tls-unique": the client's Finished message (guide B.5). */
  readonly sessionId: Uint8Array;
  /** The peer's certificates, leaf first, DER. */
  readonly chain: readonly Uint8Array[];
  /** Whether the peer asked for a certificate of ours. */
  readonly asksCertificate: boolean;
}

/** No later than `signal` it gives up. */
export type OpenTls = (target: DialOptions, signal: AbortSignal) => Promise<SecurePeer>;

/** Dials over TCP and TLS. Rejects with `ForbiddenAddressError` where the guard refuses, and `SocksError`. */
export function tlsOpener(options: TlsOptions): OpenTls {
  const { guard, alpn, certificate, proxy } = options;
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
    if (proxy || guard.permits(socket.remoteAddress ?? '')) return peerOf(socket, sessionId);
    socket.destroy();
    throw new ForbiddenAddressError();
  };
}

function direct({ guard, resolve = lookup }: TlsOptions, { host, port }: DialOptions): ConnectionOptions {
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

const peerOf = (socket: TLSSocket, sessionId: Uint8Array): SecurePeer => ({
  socket,
  sessionId: Uint8Array.from(sessionId),
  chain: peerChain(socket),
  // A client shares signature algorithms with its peer only where that one asked for a certificate.
  asksCertificate: socket.getSharedSigalgs().length > 0,
});

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
