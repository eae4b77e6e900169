/** Writes X.509 v3 certificates (RFC 5280) from their fields. Knows no keys and makes no choices: see `x509.ts`. */
import type { Bytes } from '../encoding/bytes.js';
import {
  bitString,
  boolean,
  contextTag,
  element,
  explicitTag,
  octetString,
  oid,
  sequence,
  set,
  time,
  unsignedInteger,
  utf8String,
} from '../encoding/der.js';

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

const VERSION_3 = Uint8Array.of(2);
const DNS_NAME = contextTag(2);
const IP_ADDRESS = contextTag(7);
const KEY_ID = contextTag(0);

export interface Name {
  readonly commonName: string;
  readonly organization?: string;
}

export interface CertificateFields {
  /** Unsigned, at most 20 bytes. */
  readonly serial: Bytes;
  /** AlgorithmIdentifier of the issuer's signatures, DER. */
  readonly signatureAlgorithm: Bytes;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Bytes;
  readonly extensions: readonly Bytes[];
}

/** The certificate as DER. `sign` returns the issuer's signature of the bytes it gets. */
export function encodeCertificate(fields: CertificateFields, sign: (tbs: Bytes) => Bytes): Uint8Array {
  const { serial, signatureAlgorithm, issuer, subject, notBefore, notAfter, publicKey, extensions } = fields;
  const tbs = sequence(
    element(explicitTag(0), unsignedInteger(VERSION_3)),
    unsignedInteger(serial),
    signatureAlgorithm,
    encodeName(issuer),
    sequence(time(notBefore), time(notAfter)),
    encodeName(subject),
    publicKey,
    ...(extensions.length > 0 ? [element(explicitTag(3), sequence(...extensions))] : []),
  );
  return sequence(tbs, signatureAlgorithm, bitString(sign(tbs)));
}

function encodeName({ commonName, organization }: Name): Uint8Array {
  const attribute = (type: string, value: string) => set(sequence(oid(type), utf8String(value)));
  return sequence(
    attribute(OID.commonName, commonName),
    ...(organization === undefined ? [] : [attribute(OID.organization, organization)]),
  );
}

function extension(type: string, value: Bytes, critical = false): Uint8Array {
  return sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value));
}

/** Says that a certificate may issue others. */
export const certificateAuthority = (): Uint8Array =>
  extension(OID.basicConstraints, sequence(boolean(true)), true);

/** Says that it may not. */
export const endEntity = (): Uint8Array => extension(OID.basicConstraints, sequence());

/** digitalSignature, nonRepudiation and keyAgreement, as the reference servers write it (guide B.3). */
export const keyUsage = (): Uint8Array => extension(OID.keyUsage, bitString(Uint8Array.of(0b1100_1000), 3));

export const forServers = (): Uint8Array => extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth)));

export const subjectKeyId = (id: Bytes): Uint8Array => extension(OID.subjectKeyId, octetString(id));

export const authorityKeyId = (id: Bytes): Uint8Array =>
  extension(OID.authorityKeyId, sequence(element(KEY_ID, id)));

/** DNS names, and IP addresses as 4 or 16 bytes. */
export function subjectAltNames(dnsNames: readonly Bytes[], addresses: readonly Bytes[]): Uint8Array {
  const names = [
    ...dnsNames.map((name) => element(DNS_NAME, name)),
    ...addresses.map((address) => element(IP_ADDRESS, address)),
  ];
  return extension(OID.subjectAltName, sequence(...names));
}
