/**
 * Whether a certificate chain belongs to the server that an address names (guide B.3). OpenSSL's own verification
 * is off: these servers are their own authorities, pinned by the fingerprint in the address.
 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { sameBytes } from '../../../../shared/encoding/bytes.js';
import { decodePublicKey, type Key, ofAlgorithm } from '../../../../shared/encoding/keys.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { type Certificate, readCertificate } from './certificate.js';

const MIN_CHAIN = 2;
const MAX_CHAIN = 4;
const DIGITAL_SIGNATURE = 0x80;
const KEY_CERT_SIGN = 0x04;

/** The chain does not prove the identity. `code` is a closed word; nothing of the certificates is told. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
  readonly code: 'chain' | 'fingerprint' | 'dates' | 'extensions' | 'key' | 'signature';

  constructor(code: IdentityError['code']) {
    super(`identity: ${code}`);
    this.code = code;
  }
}

export type LeafKey = Key<'ed25519' | 'ed448'>;

/**
 * The leaf's public key if the chain (DER, leaf first) proves the identity `keyHash` at `nowMs`. The second
 * certificate is the identity, the last one the trust anchor. Beyond the reference's rules the identity must
 * itself stand on the path from the leaf: else a stranger could add a real server's public certificate to a
 * three-certificate chain of his own. Throws `IdentityError`.
 */
export function checkIdentity(
  crypto: Crypto,
  chain: readonly Uint8Array[],
  keyHash: Uint8Array,
  nowMs: number,
): LeafKey {
  if (chain.length < MIN_CHAIN || chain.length > MAX_CHAIN) throw new IdentityError('chain');
  if (!sameBytes(crypto.sha256(chain[1]!), keyHash)) throw new IdentityError('fingerprint');
  try {
    const certificates = chain.map(readCertificate);
    checkLeaf(certificates[0]!);
    if (!path(certificates, nowMs).includes(certificates[1]!)) throw new IdentityError('chain');
    return leafKey(certificates[0]!.der);
  } catch (error) {
    if (error instanceof DecodeError) throw new IdentityError('chain');
    throw error;
  }
}

/** The public key of a certificate, which must be Ed25519 or Ed448. Throws `DecodeError` or `IdentityError`. */
export function leafKey(der: Uint8Array): LeafKey {
  try {
    return ofAlgorithm(decodePublicKey(readCertificate(der).publicKey), 'ed25519', 'ed448');
  } catch {
    throw new IdentityError('key');
  }
}

function checkLeaf(leaf: Certificate): void {
  if (leaf.version !== 3) throw new IdentityError('extensions');
  if (leaf.keyUsage !== undefined && !(leaf.keyUsage & DIGITAL_SIGNATURE)) throw new IdentityError('key');
}

/** Walks from the leaf to the anchor; returns the certificates on the way, both ends included. */
function path(chain: readonly Certificate[], nowMs: number): Certificate[] {
  const anchor = chain.at(-1)!;
  const walked: Certificate[] = [];
  for (let current = chain[0]!; ; ) {
    checkVisited(current, nowMs);
    walked.push(current);
    if (sameBytes(current.issuer, anchor.subject)) {
      checkSignature(current, anchor);
      return [...walked, anchor];
    }
    const issuer = chain.find((c) => !walked.includes(c) && sameBytes(c.subject, current.issuer));
    if (!issuer) throw new IdentityError('chain');
    checkIssuer(issuer, walked.length - 1);
    checkSignature(current, issuer);
    current = issuer;
  }
}

function checkVisited(certificate: Certificate, nowMs: number): void {
  if (nowMs < certificate.notBefore || nowMs > certificate.notAfter) throw new IdentityError('dates');
  if (!certificate.understood) throw new IdentityError('extensions');
}

/** @param below how many issuers stand between it and the leaf */
function checkIssuer({ isCa, keyUsage, pathLength }: Certificate, below: number): void {
  if (!isCa || (pathLength !== undefined && below > pathLength)) throw new IdentityError('chain');
  if (keyUsage !== undefined && !(keyUsage & KEY_CERT_SIGN)) throw new IdentityError('key');
}

function checkSignature(certificate: Certificate, issuer: Certificate): void {
  let valid = false;
  try {
    valid = new X509Certificate(certificate.der).verify(keyObject(issuer.publicKey));
  } catch {} // unreadable for OpenSSL, or a key it doesn't know: not valid
  if (!valid) throw new IdentityError('signature');
}

const keyObject = (spki: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
