/**
 * The listener's identity, in the files that `ntf-server init` writes: ca.crt, server.crt, server.key (guide B.3).
 * Clients know the server by the SHA-256 of the second certificate of its chain, not by its name.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { secretCopy } from '../../../shared/crypto/memory.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { decodePrivateKey, type Key, ofAlgorithm } from '../../../shared/encoding/keys.js';
import { pathOf, readSecretFile } from '../../../shared/run/files.js';

export interface IdentityFiles {
  readonly caCertificate: string;
  readonly certificate: string;
  readonly privateKey: string;
}

export interface NtfIdentity {
  /** PEM, leaf first, the identity certificate behind it: all of it is sent. */
  readonly chain: string;
  /** PEM of the leaf's private key, for TLS. */
  readonly privateKey: string;
  /** The same key raw: it signs session keys (guide H.1). */
  readonly signingKey: Key<'ed25519' | 'ed448'>;
  /** SHA-256 of the identity certificate (32): what stands in the server's address. */
  readonly keyHash: Uint8Array;
}

/** An identity that can't be used. The message names a file and what is wrong, never its content. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
}

/** Throws `IdentityError`, or `SecretFileError` where others may read the key. */
export function loadIdentity(crypto: Crypto, files: IdentityFiles): NtfIdentity {
  const keyText = readSecretFile(files.privateKey).toString('latin1');
  return makeIdentity(crypto, readCertificates(files), keyText, files.privateKey);
}

/** By which clients know the server: SHA-256 of the identity certificate (32). Throws `IdentityError`. */
export function identityHash(crypto: Crypto, files: Omit<IdentityFiles, 'privateKey'>): Uint8Array {
  return crypto.sha256(checkedChain(readCertificates(files))[1].raw);
}

/**
 * @param certificates PEM, leaf first; a certificate that stands there twice counts once
 * @param privateKey PEM, PKCS#8
 * @param keyFile name of the key's file, for messages
 */
export function makeIdentity(
  crypto: Crypto,
  certificates: string,
  privateKey: string,
  keyFile = 'private key',
): NtfIdentity {
  const chain = checkedChain(certificates);
  const [leaf, identity] = chain;
  const key = parseKey(privateKey, keyFile);
  if (!leaf.checkPrivateKey(key)) throw new IdentityError(`${keyFile}: not the key of the certificate`);
  if (!leaf.checkIssued(chain.at(-1)!) && !leaf.checkIssued(identity)) {
    throw new IdentityError('certificates: the authority did not issue the server certificate');
  }
  return {
    chain: chain.map((certificate) => certificate.toString()).join(''),
    privateKey,
    signingKey: rawKey(key),
    keyHash: crypto.sha256(identity.raw),
  };
}

/** A longer chain is refused by clients (guide B.3). */
const MAX_CHAIN = 4;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

type Chain = [leaf: X509Certificate, identity: X509Certificate, ...more: X509Certificate[]];

function checkedChain(text: string): Chain {
  const chain = parseChain(text);
  if (chain.length >= 2 && chain.length <= MAX_CHAIN) return chain as Chain;
  throw new IdentityError('certificates: expected 2 to 4, leaf first, its authority behind it');
}

function parseChain(text: string): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (const [pem] of text.matchAll(PEM)) {
    const certificate = parseCertificate(pem);
    if (!chain.some((known) => known.raw.equals(certificate.raw))) chain.push(certificate);
  }
  return chain;
}

function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new IdentityError('certificates: one of them is not valid');
  }
}

function parseKey(pem: string, file: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new IdentityError(`${file}: not a private key in PEM`);
  }
  const type = key.asymmetricKeyType;
  if (type === 'ed25519' || type === 'ed448') return key;
  throw new IdentityError(`${file}: expected an Ed25519 or Ed448 key`);
}

function rawKey(key: KeyObject): NtfIdentity['signingKey'] {
  const der = key.export({ format: 'der', type: 'pkcs8' });
  const { algorithm, raw } = ofAlgorithm(decodePrivateKey(der), 'ed25519', 'ed448');
  const copy = secretCopy(raw);
  wipe(der);
  return { algorithm, raw: copy };
}

const readCertificates = (files: Omit<IdentityFiles, 'privateKey'>): string =>
  [readText(files.certificate), readText(files.caCertificate)].join('\n');

function readText(file: string): string {
  try {
    return readFileSync(pathOf(file), 'latin1');
  } catch {
    throw new IdentityError(`${file}: cannot be read`);
  }
}
