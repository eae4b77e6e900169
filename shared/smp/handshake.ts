/**
 * SMP handshake blocks, both directions (guide C), and the signed session key that SMP and NTF share (C.2). Only
 * shapes and signatures: whether a chain proves an identity is decided where certificates are looked at.
 */
import type { Crypto } from '../crypto/crypto.js';
import { signWith, verifyWith } from '../crypto/signatures.js';
import type { Bytes } from '../encoding/bytes.js';
import { decodePublicKey, encodePublicKey, type Key, ofAlgorithm } from '../encoding/keys.js';
import { DecodeError, Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { SINCE, type VersionRange } from './constants.js';
import { decodeTransportError, encodeTransportError, type TransportError } from './errors.js';
import { decodeSignedKey, encodeSignedKey, type SigningAlgorithm, wrapKey } from './signed-key.js';

export { decodeSignedKey, type SignedKey, type SigningAlgorithm } from './signed-key.js';

/** Certificates, leaf first, and a session key signed with the leaf's key. */
export interface CertifiedKey {
  readonly chain: readonly Bytes[];
  /** See `decodeSignedKey`. */
  readonly signedKey: Bytes;
}

export interface SmpServerHello {
  readonly versions: VersionRange;
  readonly sessionId: Bytes;
  /** There if and only if `versions.max` is 7 or more. */
  readonly serverKey?: CertifiedKey;
}

/** Messaging, notifier, proxy. */
export type ServiceRole = 'M' | 'N' | 'P';

export interface SmpClientHello {
  readonly version: number;
  /** The identity that the client expects. */
  readonly keyHash: Bytes;
  /** The client's raw X25519 session key; without it blocks are not encrypted. From version 7. */
  readonly sessionKey?: Bytes;
  /** From version 14; default false. */
  readonly proxyServer?: boolean;
  /** From version 16. The chain is the one of the TLS client certificate, byte for byte. */
  readonly service?: CertifiedKey & { readonly role: ServiceRole };
}

export type ServiceResponse = { readonly serviceId: Bytes } | { readonly error: TransportError };

const ROLES: readonly ServiceRole[] = ['M', 'N', 'P'];
/** A client's key field is missing or exactly this long: there is no other mark of its presence. */
const X25519_DER_SIZE = 44;

function writeCertifiedKey(w: Writer, { chain, signedKey }: CertifiedKey): void {
  w.list(chain, (certificate) => w.large(certificate)).large(signedKey);
}

const readCertifiedKey = (r: Reader): CertifiedKey => ({
  chain: r.nonEmpty(() => r.large()),
  signedKey: r.large(),
});

/** Content of the block. Throws `RangeError` where key and version don't go together. */
export function encodeServerHello({ versions, sessionId, serverKey }: SmpServerHello): Uint8Array {
  if ((serverKey !== undefined) !== versions.max >= SINCE.serverKey) throw new RangeError('server key');
  const w = new Writer(1024).u16(versions.min).u16(versions.max).shortString(sessionId);
  if (serverKey) writeCertifiedKey(w, serverKey);
  return w.done();
}

/** Trailing bytes are ignored. Byte fields are views. Throws `DecodeError`. */
export function decodeServerHello(content: Bytes): SmpServerHello {
  const r = new Reader(content);
  const versions = { min: r.u16(), max: r.u16() };
  if (versions.min > versions.max) throw new DecodeError('empty version range');
  const sessionId = r.shortString();
  if (versions.max < SINCE.serverKey) return { versions, sessionId };
  return { versions, sessionId, serverKey: readCertifiedKey(r) };
}

/** Content of the block; fields that the version does not know are left out. */
export function encodeClientHello(hello: SmpClientHello): Uint8Array {
  const { version, keyHash, sessionKey, proxyServer = false, service } = hello;
  const w = new Writer(1024).u16(version).shortString(keyHash);
  if (version >= SINCE.serverKey && sessionKey) {
    w.shortString(encodePublicKey({ algorithm: 'x25519', raw: sessionKey }));
  }
  if (version >= SINCE.proxyFlag) w.bool(proxyServer);
  if (version >= SINCE.services) {
    w.maybe(service, (s) => writeCertifiedKey(w.text(s.role), s));
  }
  return w.done();
}

/** Trailing bytes are ignored. Byte fields are views. Throws `DecodeError`. */
export function decodeClientHello(content: Bytes): SmpClientHello {
  const r = new Reader(content);
  const version = r.u16();
  const keyHash = r.shortString();
  const sessionKey = version >= SINCE.serverKey ? readOptionalKey(r) : undefined;
  const proxyServer = version >= SINCE.proxyFlag ? r.bool() : false;
  const service = version >= SINCE.services ? r.maybe(() => readService(r)) : undefined;
  return { version, keyHash, ...(sessionKey && { sessionKey }), proxyServer, ...(service && { service }) };
}

function readOptionalKey(r: Reader): Bytes | undefined {
  if (r.bytes[r.offset] !== X25519_DER_SIZE) return undefined;
  return ofAlgorithm(decodePublicKey(r.shortString()), 'x25519').raw;
}

function readService(r: Reader): CertifiedKey & { readonly role: ServiceRole } {
  const role = ROLES.find((known) => r.accept(known));
  if (role === undefined) throw new DecodeError('unknown role');
  return { role, ...readCertifiedKey(r) };
}

/** Third message of a service's handshake (guide C.4). */
export function encodeServiceResponse(response: ServiceResponse): Uint8Array {
  const w = new Writer(64);
  if ('serviceId' in response) return w.text('R').shortString(response.serviceId).done();
  return w.text('E').bytes(encodeTransportError(response.error)).done();
}

/** Trailing bytes behind the id are ignored. Throws `DecodeError`. */
export function decodeServiceResponse(content: Bytes): ServiceResponse {
  const r = new Reader(content);
  if (r.accept('R')) return { serviceId: r.shortString() };
  r.expect('E');
  return { error: decodeTransportError(r.tail()) };
}

/**
 * Signs a session key with a certificate's private key.
 * @param publicKey raw; X25519 for servers, Ed25519 for a service's session key
 */
export function signSessionKey(
  crypto: Crypto,
  signingKey: Key<SigningAlgorithm>,
  publicKey: Bytes,
  algorithm: 'x25519' | 'ed25519' = 'x25519',
): Uint8Array {
  const signed = wrapKey({ algorithm, raw: publicKey });
  const signature = signWith(crypto, signingKey, signed);
  return encodeSignedKey({ signed, algorithm: signingKey.algorithm, signature });
}

/** The raw session key inside, if its signature is by `signer` (public); else, or where it is no such key, undefined. */
export function openSignedKey(
  crypto: Crypto,
  signer: Key<SigningAlgorithm>,
  der: Bytes,
  algorithm: 'x25519' | 'ed25519' = 'x25519',
): Uint8Array | undefined {
  const { signed, key, signature, ...object } = decodeSignedKey(der);
  const fits = key.algorithm === algorithm && object.algorithm === signer.algorithm;
  return fits && verifyWith(crypto, signer, signed, signature) ? key.raw : undefined;
}
