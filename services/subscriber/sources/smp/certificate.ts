/**
 * The fields of an X.509 certificate that the identity rules look at (guide B.3), read from its DER by hand: Node's
 * `X509Certificate` shows neither key usage, critical extensions nor names byte for byte. Pure.
 */
import { latin1, toHex } from '../../../../shared/encoding/bytes.js';
import { DER, explicitTag, peekTag, readElement, readWholeElement } from '../../../../shared/encoding/der.js';
import { DecodeError, Reader } from '../../../../shared/encoding/reader.js';

export interface Certificate {
  readonly der: Uint8Array;
  /** 1, 2 or 3. */
  readonly version: number;
  /** Distinguished names as DER, for comparison. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Milliseconds since the Unix epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo as DER. */
  readonly publicKey: Uint8Array;
  /** Basic constraints: whether it may issue, and how many issuers may stand below it. */
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  /** Bits of keyUsage, most significant first (digitalSignature is 0x80); undefined where it has none. */
  readonly keyUsage: number | undefined;
  /** Whether each of its critical extensions is one that the rules know. */
  readonly understood: boolean;
}

const VERSION = explicitTag(0);
const EXTENSIONS = explicitTag(3);
const OID = { keyUsage: '551d0f', basicConstraints: '551d13' } as const;
/** Key usage, names, basic constraints, key identifiers, extended key usage. */
const UNDERSTOOD = new Set(['551d0f', '551d11', '551d12', '551d13', '551d0e', '551d23', '551d25']);

/** Reads one certificate. Throws `DecodeError`. */
export function readCertificate(der: Uint8Array): Certificate {
  const whole = new Reader(der);
  const tbs = new Reader(readElement(new Reader(readElement(whole, DER.sequence)), DER.sequence));
  whole.end();
  const version = peekTag(tbs) === VERSION ? integer(new Reader(readElement(tbs, VERSION))) + 1 : 1;
  readElement(tbs, DER.integer); // serial number
  readElement(tbs, DER.sequence); // signature algorithm, repeated outside
  const issuer = readElement(tbs, DER.sequence);
  const validity = new Reader(readElement(tbs, DER.sequence));
  const [notBefore, notAfter] = [time(validity), time(validity)];
  const subject = readElement(tbs, DER.sequence);
  const publicKey = readWholeElement(tbs, DER.sequence);
  return { der, version, issuer, subject, notBefore, notAfter, publicKey, ...extensions(tbs) };
}

type Extensions = Pick<Certificate, 'isCa' | 'pathLength' | 'keyUsage' | 'understood'>;

function extensions(tbs: Reader): Extensions {
  let found: Extensions = { isCa: false, pathLength: undefined, keyUsage: undefined, understood: true };
  while (tbs.remaining > 0) {
    const tag = peekTag(tbs)!;
    const content = readElement(tbs, tag);
    if (tag !== EXTENSIONS) continue; // unique identifiers
    const list = new Reader(readElement(new Reader(content), DER.sequence));
    while (list.remaining > 0)
      found = { ...found, ...extension(new Reader(readElement(list, DER.sequence)), found) };
  }
  return found;
}

function extension(reader: Reader, before: Extensions): Partial<Extensions> {
  const oid = toHex(readElement(reader, DER.oid));
  const critical = peekTag(reader) === DER.boolean && readElement(reader, DER.boolean)[0] !== 0;
  const value = new Reader(readElement(reader, DER.octetString));
  if (oid === OID.basicConstraints) return basicConstraints(new Reader(readElement(value, DER.sequence)));
  if (oid === OID.keyUsage) return { keyUsage: readElement(value, DER.bitString)[1] ?? 0 };
  return { understood: before.understood && (!critical || UNDERSTOOD.has(oid)) };
}

function basicConstraints(reader: Reader): Pick<Extensions, 'isCa' | 'pathLength'> {
  const isCa = peekTag(reader) === DER.boolean && readElement(reader, DER.boolean)[0] !== 0;
  return { isCa, pathLength: reader.remaining > 0 ? integer(reader) : undefined };
}

function integer(reader: Reader): number {
  const bytes = readElement(reader, DER.integer);
  if (bytes.length !== 1 || bytes[0]! > 0x7f) throw new DecodeError('number too large');
  return bytes[0]!;
}

/** `YYMMDDhhmmssZ` (years 1950 to 2049) or `YYYYMMDDhhmmssZ`: years up to 9999, as servers' CAs need (guide B.3). */
function time(reader: Reader): number {
  const short = peekTag(reader) === DER.utcTime;
  const text = latin1(readElement(reader, short ? DER.utcTime : DER.generalizedTime));
  const full = short ? (text < '5' ? '20' : '19') + text : text;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full)?.slice(1).map(Number);
  if (!parts) throw new DecodeError('not a time');
  const [year, month, day, hour, minute, second] = parts as [number, number, number, number, number, number];
  return new Date(0).setUTCFullYear(year, month - 1, day) + ((hour * 60 + minute) * 60 + second) * 1000;
}
