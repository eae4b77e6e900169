/** The stand-in's identity: an authority and a leaf as real servers make them, new or from files (guide B.3). */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createIdentity, pemBlocks, toPem } from '../../../shared/crypto/x509.js';
import type { Bytes } from '../../../shared/encoding/bytes.js';
import { decodePublicKey, type Key, ofAlgorithm } from '../../../shared/encoding/keys.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { readSecretFile, writeSecretFile } from '../../../shared/run/files.js';

/** All DER. */
export interface SmpIdentity {
  /** Its SHA-256 is the identity in the server's address. */
  readonly caCert: Uint8Array;
  readonly leafCert: Uint8Array;
  /** PKCS#8; Ed25519 or Ed448. */
  readonly leafKey: Uint8Array;
}

const COMMON_NAME = 'localhost';
const CERTIFICATE = 'CERTIFICATE';
const PRIVATE_KEY = 'PRIVATE KEY';

export const createSmpIdentity = (now: Date, algorithm: 'ed25519' | 'ed448' = 'ed25519'): SmpIdentity =>
  createIdentity({ algorithm, commonName: COMMON_NAME, now });

/** The identity kept in a folder under a real server's file names; made at the first call. */
export function smpIdentityIn(folder: string, now: Date, algorithm?: 'ed25519' | 'ed448'): SmpIdentity {
  const [caFile, certFile, keyFile] = ['ca.crt', 'server.crt', 'server.key'].map((name) =>
    join(folder, name),
  );
  if (!existsSync(keyFile!)) {
    const made = createSmpIdentity(now, algorithm);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(caFile!, toPem(CERTIFICATE, made.caCert));
    writeFileSync(certFile!, toPem(CERTIFICATE, made.leafCert));
    writeSecretFile(keyFile!, toPem(PRIVATE_KEY, made.leafKey));
  }
  return identityFromPem(
    readFileSync(caFile!, 'utf8'),
    readFileSync(certFile!, 'utf8'),
    readSecretFile(keyFile!).toString('latin1'),
  );
}

/** Throws `RangeError` where one of the texts holds no PEM block. */
export function identityFromPem(ca: string, leaf: string, key: string): SmpIdentity {
  const [caCert, leafCert, leafKey] = [ca, leaf, key].map((text) => pemBlocks(text)[0]?.der);
  if (!caCert || !leafCert || !leafKey) throw new RangeError('not a PEM file');
  return { caCert, leafCert, leafKey };
}

/** Certificates and key as TLS takes them: the leaf, then the authority. */
export const tlsCredentials = ({
  caCert,
  leafCert,
  leafKey,
}: SmpIdentity): { cert: string; key: string } => ({
  cert: toPem(CERTIFICATE, leafCert) + toPem(CERTIFICATE, caCert),
  key: toPem(PRIVATE_KEY, leafKey),
});

/** The public key of a certificate. Throws `DecodeError` where it is no Ed25519 or Ed448 one. */
export function certificateKey(der: Bytes): Key<'ed25519' | 'ed448'> {
  let spki: Buffer;
  try {
    spki = new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' });
  } catch {
    throw new DecodeError('not a certificate');
  }
  return ofAlgorithm(decodePublicKey(spki), 'ed25519', 'ed448');
}
