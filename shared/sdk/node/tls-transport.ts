/**
 * The SDK's connection where Node runs: TLS as stock clients speak it, and the server's identity by its fingerprint
 * (guide B.1, B.3). Stricter than they are: every certificate must be signed by the next one of the chain.
 */
import { createHash, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { type Bytes, sameBytes } from '../../encoding/bytes.js';
import type { Clock } from '../../run/clock.js';
import { type ByteTransport, type Connect, NtfConnectionError } from '../transport.js';

export interface TlsTarget {
  readonly host: string;
  readonly port: number;
  /** SHA-256 of the identity certificate. */
  readonly keyHash: Uint8Array;
  readonly clock: Clock;
}

const CONNECT_MS = 45_000;
const MIN_CHAIN = 2;
const MAX_CHAIN = 4;

/** Connections to one server; each rejects with `NtfConnectionError` where it isn't there or isn't the one. */
export function tlsConnect(target: TlsTarget): Connect {
  return async () => {
    const socket = await dial(target);
    const chain = chainOf(socket);
    const sessionId = socket.getFinished();
    const proved = provesIdentity(chain, target.keyHash, target.clock.now());
    if (proved && sessionId) return new TlsTransport(socket, sessionId, chain[0]!.publicKey);
    socket.destroy();
    throw new NtfConnectionError('identity');
  };
}

function dial({ host, port, clock }: TlsTarget): Promise<TLSSocket> {
  const socket = connect({
    host,
    port,
    servername: '', // SNI would lead elsewhere (guide B.4)
    ALPNProtocols: ['ntf/1'],
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_CHACHA20_POLY1305_SHA256',
    sigalgs: 'ed448:ed25519',
    ecdhCurve: 'X448:X25519',
    rejectUnauthorized: false, // `provesIdentity` judges
  });
  socket.setNoDelay(true);
  return new Promise((resolve, reject) => {
    const timer = clock.after(CONNECT_MS, () => socket.destroy());
    socket.once('close', () => reject(new NtfConnectionError('unreachable')));
    socket.once('secureConnect', () => {
      timer.cancel();
      resolve(socket);
    });
    socket.on('error', () => timer.cancel()); // 'close' follows
  });
}

/** Leaf first. `getPeerX509Certificate` would take the leaf away from OpenSSL, so the older call walks the chain. */
function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (certificate?.raw && chain.length <= MAX_CHAIN) {
    chain.push(new X509Certificate(certificate.raw));
    const issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate;
    certificate = issuer?.fingerprint256 === certificate.fingerprint256 ? undefined : issuer;
  }
  return chain;
}

/** Whether certificates, leaf first, are those of the server with this identity: the second one's SHA-256. */
export function provesIdentity(chain: readonly X509Certificate[], keyHash: Bytes, nowMs: number): boolean {
  if (chain.length < MIN_CHAIN || chain.length > MAX_CHAIN) return false;
  const identity = createHash('sha256').update(chain[1]!.raw).digest();
  const known = ['ed25519', 'ed448'].includes(chain[0]!.publicKey.asymmetricKeyType ?? '');
  return known && sameBytes(identity, keyHash) && chain.every((_, i) => holds(chain, i, nowMs));
}

/** In its time, and signed by the next; the last is the anchor, whose dates don't matter (guide B.3). */
function holds(chain: readonly X509Certificate[], i: number, now: number): boolean {
  const [certificate, issuer] = [chain[i]!, chain[i + 1]];
  if (issuer === undefined) return true;
  const inTime = Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
  return inTime && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

class TlsTransport implements ByteTransport {
  readonly sessionId: Uint8Array;
  private readonly socket: TLSSocket;
  private readonly leafKey: KeyObject;

  constructor(socket: TLSSocket, sessionId: Buffer, leafKey: KeyObject) {
    this.socket = socket;
    this.sessionId = Uint8Array.from(sessionId);
    this.leafKey = leafKey;
  }

  verify(algorithm: 'ed25519' | 'ed448', message: Bytes, signature: Bytes): boolean {
    return this.leafKey.asymmetricKeyType === algorithm && verify(null, message, this.leafKey, signature);
  }

  onData(listener: (bytes: Bytes) => void): void {
    this.socket.on('data', listener);
  }

  onClose(listener: () => void): void {
    if (this.socket.destroyed) queueMicrotask(listener);
    else this.socket.once('close', listener);
  }

  send(bytes: Bytes): void {
    this.socket.write(bytes);
  }

  close(): void {
    this.socket.destroy();
  }
}
