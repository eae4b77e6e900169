/**
 * Services: notifiers that identify themselves by a certificate and subscribe all their queues at once (guide C.4,
 * G.3). Known by the hash of the identity certificate, for good; a queue's association stands with its notifier.
 */
import type { TLSSocket } from 'node:tls';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, latin1, sameBytes } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import type { ServiceAuth } from '../../../shared/smp/auth.js';
import { ID_SIZE } from '../../../shared/smp/constants.js';
import type { TransportError } from '../../../shared/smp/errors.js';
import { openSignedKey, type SmpClientHello } from '../../../shared/smp/handshake.js';
import { certificateKey } from './identity.js';

const MAX_CHAIN = 4;
const MAX_SERVICES = 1_000;

/** A connection's side of being a service. */
export interface ServiceSession {
  readonly id: Uint8Array;
  /** The hash of its identity certificate, and its public session key. */
  readonly auth: ServiceAuth;
}

const refused = (reason: 'BAD_AUTH' | 'BAD_SERVICE'): TransportError => ({ kind: 'HANDSHAKE', reason });

export class ServiceStore {
  private readonly crypto: Crypto;
  private readonly ids = new Map<string, Uint8Array>();

  constructor(crypto: Crypto) {
    this.crypto = crypto;
  }

  /** Hashes of identity certificates and service ids. */
  entries(): IterableIterator<[certHash: string, id: Uint8Array]> {
    return this.ids.entries();
  }

  /** @param certHash one character a byte */
  add(certHash: string, id: Uint8Array): void {
    this.ids.set(certHash, id);
  }

  clear(): void {
    this.ids.clear();
  }

  /** The service of a hello, or why it is none. @param tlsChain what the client showed in TLS, leaf first */
  accept(
    { role, chain, signedKey }: NonNullable<SmpClientHello['service']>,
    tlsChain: readonly Bytes[],
  ): ServiceSession | TransportError {
    const [leaf, authority = leaf] = chain;
    const same = chain.length === tlsChain.length && chain.every((der, i) => sameBytes(der, tlsChain[i]!));
    if (!leaf || !authority || !same || chain.length > MAX_CHAIN) return refused('BAD_AUTH');
    const sessionKey = this.sessionKey(leaf, signedKey);
    if (!sessionKey) return refused('BAD_AUTH');
    const certHash = this.crypto.sha256(authority);
    const id = role === 'N' ? this.idOf(latin1(certHash)) : undefined;
    return id ? { id, auth: { certHash, sessionKey } } : refused('BAD_SERVICE');
  }

  private sessionKey(leaf: Bytes, signedKey: Bytes): Uint8Array | undefined {
    try {
      return openSignedKey(this.crypto, certificateKey(leaf), signedKey, 'ed25519')?.slice();
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  private idOf(certHash: string): Uint8Array | undefined {
    const known = this.ids.get(certHash);
    if (known || this.ids.size >= MAX_SERVICES) return known;
    const id = this.crypto.randomBytes(ID_SIZE);
    this.add(certHash, id);
    return id;
  }
}

/** The certificates that a client showed in TLS, leaf first. */
export function clientChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerCertificate(true);
  while (certificate?.raw && chain.length <= MAX_CHAIN) {
    chain.push(certificate.raw);
    const issuer = certificate.issuerCertificate;
    if (!issuer || issuer.fingerprint256 === certificate.fingerprint256) break;
    certificate = issuer;
  }
  return chain;
}
