/**
 * The certificates that the services need, made without an outside tool: a server identity as `smp-server init` and
 * `ntf-server init` make it (an own authority whose fingerprint stands in the address, and a leaf; guide B.3), a
 * self-signed certificate for HTTPS, and a service certificate. Keys leave as PKCS#8; nothing is kept.
 */
import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as signWithKey,
} from 'node:crypto';
import { isIP } from 'node:net';
import { type Bytes, utf8 } from '../encoding/bytes.js';
import { DER, oid, readBitString, readElement, sequence } from '../encoding/der.js';
import { decodeAll, Reader } from '../encoding/reader.js';
import {
  authorityKeyId,
  type CertificateFields,
  certificateAuthority,
  encodeCertificate,
  endEntity,
  forServers,
  keyUsage,
  type Name,
  subjectAltNames,
  subjectKeyId,
} from './certificate.js';
import { ipAddressBytes } from './ip-address.js';

export { type PemBlock, pemBlocks, toPem } from './pem.js';

type Algorithm = 'ed25519' | 'ed448' | 'p256';

const DAY_MS = 86_400_000;
const SERIAL_LENGTH = 20;
/** Upper bound of a common name in X.520. */
const MAX_COMMON_NAME = 64;
/** What the reference servers write: until the year 4764. */
const IDENTITY_DAYS = 999_999;
const TEN_YEARS_DAYS = 3650;
const IDENTITY_AUTHORITY: Name = { commonName: 'SMP server CA', organization: 'SimpleX' };

const SIGNATURES: Record<Algorithm, { readonly oid: string; readonly hash: string | null }> = {
  ed25519: { oid: '1.3.101.112', hash: null },
  ed448: { oid: '1.3.101.113', hash: null },
  p256: { oid: '1.2.840.10045.4.3.2', hash: 'sha256' },
};

export interface IdentityOptions {
  readonly algorithm: 'ed25519' | 'ed448';
  /** The leaf's common name: the server's host. */
  readonly commonName: string;
  /** DNS names and IP addresses for clients that check them; the messaging protocols' don't. */
  readonly hosts?: readonly string[];
  readonly now: Date;
  readonly days?: number;
}

/** All DER; keys are PKCS#8. */
export interface Identity {
  readonly caCert: Uint8Array;
  /** Needed only to make another leaf: keep it offline. */
  readonly caKey: Uint8Array;
  readonly leafCert: Uint8Array;
  readonly leafKey: Uint8Array;
  /** SHA-256 of `caCert`: the identity in the server's address. */
  readonly fingerprint: Uint8Array;
}

/** DER of a self-signed certificate and of its PKCS#8 key. */
export interface CertifiedKey {
  readonly certificate: Uint8Array;
  readonly privateKey: Uint8Array;
}

/** A new authority and a leaf under it, byte for byte in the form of the reference servers' (guide B.3). */
export function createIdentity(options: IdentityOptions): Identity {
  const { algorithm, commonName, hosts = [], now, days = IDENTITY_DAYS } = options;
  const ca = generate(algorithm);
  const leaf = generate(algorithm);
  const common = { issuer: IDENTITY_AUTHORITY, ...validity(now, days) };
  const caCert = issue(ca, ca, {
    ...common,
    subject: IDENTITY_AUTHORITY,
    extensions: [subjectKeyId(ca.keyId), authorityKeyId(ca.keyId), certificateAuthority()],
  });
  const leafCert = issue(ca, leaf, {
    ...common,
    subject: { commonName },
    extensions: [...serverExtensions(hosts), subjectKeyId(leaf.keyId), authorityKeyId(ca.keyId)],
  });
  const fingerprint = new Uint8Array(createHash('sha256').update(caCert).digest());
  return { caCert, caKey: pkcs8(ca), leafCert, leafKey: pkcs8(leaf), fingerprint };
}

/**
 * A self-signed certificate for HTTPS, ECDSA P-256 (which every client takes), for `host` and further names or IP
 * addresses.
 */
export function createServerCertificate(options: {
  readonly host: string;
  readonly otherHosts?: readonly string[];
  readonly now: Date;
  readonly days?: number;
}): CertifiedKey {
  const { host, otherHosts = [], now, days = TEN_YEARS_DAYS } = options;
  const name = { commonName: host.slice(0, MAX_COMMON_NAME) };
  return selfSigned('p256', name, validity(now, days), serverExtensions([host, ...otherHosts]));
}

/** The single self-signed Ed25519 certificate of a notification server in service mode (guide K.1 #16). */
export function createServiceCertificate(options: {
  readonly commonName: string;
  readonly now: Date;
  readonly days?: number;
}): CertifiedKey {
  const { commonName, now, days = TEN_YEARS_DAYS } = options;
  return selfSigned('ed25519', { commonName }, validity(now, days), []);
}

interface Pair {
  readonly algorithm: Algorithm;
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** SHA-1 of the public key's bits (RFC 5280 §4.2.1.2): a name, not a proof. */
  readonly keyId: Uint8Array;
}

function generate(algorithm: Algorithm): Pair {
  const { publicKey, privateKey } = generateKeys(algorithm);
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const keyId = createHash('sha1').update(publicKeyBits(spki)).digest();
  return { algorithm, privateKey, publicKey: spki, keyId };
}

function generateKeys(algorithm: Algorithm): { publicKey: KeyObject; privateKey: KeyObject } {
  if (algorithm === 'ed25519') return generateKeyPairSync('ed25519');
  if (algorithm === 'ed448') return generateKeyPairSync('ed448');
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** The bits inside a SubjectPublicKeyInfo. */
function publicKeyBits(spki: Bytes): Uint8Array {
  const content = decodeAll(spki, (reader) => new Reader(readElement(reader, DER.sequence)));
  readElement(content, DER.sequence); // its algorithm
  return readBitString(content);
}

const pkcs8 = ({ privateKey }: Pair): Uint8Array =>
  new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }));

type Validity = Pick<CertificateFields, 'notBefore' | 'notAfter'>;

const validity = (now: Date, days: number): Validity => ({
  notBefore: now,
  notAfter: new Date(now.getTime() + days * DAY_MS),
});

/** A certificate of `subject`, signed by `issuer`. */
function issue(
  issuer: Pair,
  { publicKey }: Pair,
  fields: Omit<CertificateFields, 'serial' | 'signatureAlgorithm' | 'publicKey'>,
): Uint8Array {
  const { oid: type, hash } = SIGNATURES[issuer.algorithm];
  const serial = randomBytes(SERIAL_LENGTH);
  serial[0] = (serial[0]! & 0x3f) | 0x40; // positive, and of one length
  return encodeCertificate({ ...fields, serial, publicKey, signatureAlgorithm: sequence(oid(type)) }, (tbs) =>
    signWithKey(hash, tbs, issuer.privateKey),
  );
}

function selfSigned(
  algorithm: Algorithm,
  name: Name,
  valid: Validity,
  extensions: readonly Bytes[],
): CertifiedKey {
  const pair = generate(algorithm);
  const certificate = issue(pair, pair, { issuer: name, subject: name, ...valid, extensions });
  return { certificate, privateKey: pkcs8(pair) };
}

/** What a server's leaf may do, and under which names. */
function serverExtensions(hosts: readonly string[]): Uint8Array[] {
  const names = hosts.length > 0 ? [alternativeNames(hosts)] : [];
  return [endEntity(), keyUsage(), forServers(), ...names];
}

function alternativeNames(hosts: readonly string[]): Uint8Array {
  const isAddress = (host: string) => isIP(host) !== 0;
  return subjectAltNames(
    hosts.filter((host) => !isAddress(host)).map(utf8),
    hosts.filter(isAddress).map(ipAddressBytes),
  );
}
