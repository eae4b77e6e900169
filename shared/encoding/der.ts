/**
 * ASN.1 DER, as far as certificates and signed keys need it: a strict reader over `Reader` (one encoding per value:
 * definite, shortest lengths; one-byte tags) and a writer that puts elements together from the inside out. Pure.
 */
import { type Bytes, concat, utf8 } from './bytes.js';
import { DecodeError, type Reader } from './reader.js';

export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tags of fields that are told apart by number: implicit primitive ones, and those that hold elements. */
export const contextTag = (n: number): number => 0x80 | n;
export const explicitTag = (n: number): number => 0xa0 | n;

const MULTI_BYTE_TAG = 0x1f;
const LONG = 0x80;
/** More than any value here takes; keeps lengths far from 32-bit arithmetic. */
const MAX_LENGTH_BYTES = 3;

/** The next element's tag; undefined at the end of input. */
export const peekTag = (reader: Reader): number | undefined => reader.bytes[reader.offset];

/** Content of the next element, which must have this tag. */
export function readElement(reader: Reader, tag: number): Uint8Array {
  if ((tag & MULTI_BYTE_TAG) === MULTI_BYTE_TAG || reader.u8() !== tag)
    throw new DecodeError('DER: other tag');
  return reader.take(readLength(reader));
}

/** The next element with its tag and length, as what is signed or hashed. */
export function readWholeElement(reader: Reader, tag: number): Uint8Array {
  const from = reader.offset;
  readElement(reader, tag);
  return reader.bytes.subarray(from, reader.offset);
}

/** Content of a BIT STRING of whole bytes. */
export function readBitString(reader: Reader): Uint8Array {
  const content = readElement(reader, DER.bitString);
  if (content[0] !== 0) throw new DecodeError('DER: not whole bytes'); // also where it is empty
  return content.subarray(1);
}

function readLength(reader: Reader): number {
  const first = reader.u8();
  if (first < LONG) return first;
  const bytes = first - LONG;
  if (bytes === 0 || bytes > MAX_LENGTH_BYTES) throw new DecodeError('DER: length form');
  let length = 0;
  for (let i = 0; i < bytes; i++) length = (length << 8) | reader.u8();
  if (length < LONG || length >>> (8 * (bytes - 1)) === 0) throw new DecodeError('DER: length not shortest');
  return length;
}

/** An element of this tag with the parts one after another as its content. Throws `RangeError` from 16 MiB on. */
export function element(tag: number, ...parts: readonly Bytes[]): Uint8Array {
  const content = concat(...parts);
  return concat(Uint8Array.of(tag, ...lengthBytes(content.length)), content);
}

function lengthBytes(length: number): readonly number[] {
  if (length < LONG) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  if (bytes.length > MAX_LENGTH_BYTES) throw new RangeError('DER element too long');
  return [LONG | bytes.length, ...bytes];
}

export const sequence = (...parts: readonly Bytes[]): Uint8Array => element(DER.sequence, ...parts);
export const set = (...parts: readonly Bytes[]): Uint8Array => element(DER.set, ...parts);
export const utf8String = (text: string): Uint8Array => element(DER.utf8String, utf8(text));
export const octetString = (...parts: readonly Bytes[]): Uint8Array => element(DER.octetString, ...parts);
export const boolean = (value: boolean): Uint8Array => element(DER.boolean, Uint8Array.of(value ? 0xff : 0));

/** BIT STRING; `unused` counts the bits at its end that mean nothing. */
export const bitString = (bytes: Bytes, unused = 0): Uint8Array =>
  element(DER.bitString, Uint8Array.of(unused), bytes);

/** INTEGER of an unsigned big-endian number. */
export function unsignedInteger(bytes: Bytes): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return element(DER.integer, digits[0]! & 0x80 ? concat(Uint8Array.of(0), digits) : digits);
}

/** OBJECT IDENTIFIER of its dotted form. */
export function oid(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split('.').map(Number) as [number, number, ...number[]];
  return element(DER.oid, Uint8Array.from([40 * first + second, ...rest].flatMap(base128)));
}

/** Seven bits a byte, all but the last with the high bit set. */
function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits.unshift(0x80 | (rest & 0x7f));
  return digits;
}

/** A moment to the second: UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5280 §4.1.2.5). Up to the year 9999. */
export function time(at: Date): Uint8Array {
  const year = at.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) throw new RangeError('a year that X.509 cannot say');
  const text = `${at.toISOString().slice(0, 19).replace(/[-T:]/g, '')}Z`;
  const short = year >= 1950 && year < 2050;
  return short ? element(DER.utcTime, utf8(text.slice(2))) : element(DER.generalizedTime, utf8(text));
}
