/**
 * Errors on the wire (guide A.7), used by SMP and NTF behind `ERR `. Both directions know every word, and neither
 * makes one up: an unknown word would fail the whole parse of a peer.
 */
import { type Bytes, fromUtf8 } from '../encoding/bytes.js';
import { DecodeError, decodeAll, type Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { SINCE, SMP_VERSIONS } from './constants.js';

const SIMPLE = [
  'BLOCK',
  'SESSION',
  'AUTH',
  'SERVICE',
  'CRYPTO',
  'QUOTA',
  'EXPIRED',
  'NO_MSG',
  'LARGE_MSG',
  'INTERNAL',
  'DUPLICATE_',
] as const;
const COMMAND = ['UNKNOWN', 'SYNTAX', 'PROHIBITED', 'NO_AUTH', 'HAS_AUTH', 'NO_ENTITY'] as const;
const BLOCKED = ['spam', 'content'] as const;
const HANDSHAKE = ['PARSE', 'IDENTITY', 'BAD_AUTH', 'BAD_SERVICE'] as const;
const TRANSPORT = ['BLOCK', 'VERSION', 'LARGE_MSG', 'SESSION', 'NO_AUTH'] as const;
const NETWORK = ['UNKNOWNCA', 'FAILED', 'TIMEOUT'] as const;
const NETWORK_WITH_TEXT = ['CONNECT', 'TLS', 'SUBSCRIBE'] as const;
const BROKER = ['TIMEOUT', 'HOST', 'NO_SERVICE'] as const;
const BROKER_WITH_TEXT = ['RESPONSE', 'UNEXPECTED'] as const;
const PROXY = ['BASIC_AUTH', 'NO_SESSION'] as const;

export type CommandErrorReason = (typeof COMMAND)[number];

/** How long a block holds, in seconds, where that is told. */
export interface BlockedNotice {
  readonly ttl?: number;
}

export type ErrorType =
  | { readonly kind: (typeof SIMPLE)[number] }
  | { readonly kind: 'CMD'; readonly reason: CommandErrorReason }
  | { readonly kind: 'BLOCKED'; readonly reason: (typeof BLOCKED)[number]; readonly notice?: BlockedNotice }
  | { readonly kind: 'STORE'; readonly text: string }
  | { readonly kind: 'PROXY'; readonly error: ProxyError };

export type ProxyError =
  | { readonly kind: (typeof PROXY)[number] }
  | { readonly kind: 'PROTOCOL'; readonly error: ErrorType }
  | { readonly kind: 'BROKER'; readonly error: BrokerError };

export type BrokerError =
  | { readonly kind: (typeof BROKER)[number] }
  | { readonly kind: (typeof BROKER_WITH_TEXT)[number]; readonly text: Uint8Array }
  | { readonly kind: 'TRANSPORT'; readonly error: TransportError }
  | { readonly kind: 'NETWORK'; readonly error?: NetworkError };

export type NetworkError =
  | { readonly kind: (typeof NETWORK)[number] }
  | { readonly kind: (typeof NETWORK_WITH_TEXT)[number]; readonly text: Uint8Array };

export type TransportError =
  | { readonly kind: (typeof TRANSPORT)[number] }
  | { readonly kind: 'HANDSHAKE'; readonly reason: (typeof HANDSHAKE)[number] };

/** Errors inside errors of proxies: deeper nesting is no error that a server makes. */
const MAX_DEPTH = 3;
const MAX_TTL = Number.MAX_SAFE_INTEGER;

/** Bytes of an error for a peer of this version: older ones don't know BLOCKED or its notice. */
export function encodeError(error: ErrorType, version: number = SMP_VERSIONS.max): Uint8Array {
  const w = new Writer(32);
  writeError(w, error, version);
  return w.done();
}

/** Throws `DecodeError` on anything that is no known error, all of `bytes`. */
export const decodeError = (bytes: Bytes): ErrorType => decodeAll(bytes, (r) => readError(r, MAX_DEPTH));

export function encodeTransportError(error: TransportError): Uint8Array {
  const w = new Writer(32);
  writeTransportError(w, error);
  return w.done();
}

/** Throws `DecodeError`. */
export const decodeTransportError = (bytes: Bytes): TransportError => decodeAll(bytes, readTransportError);

function writeError(w: Writer, error: ErrorType, version: number): void {
  if (error.kind === 'BLOCKED') {
    writeBlocked(w, error, version);
    return;
  }
  w.text(error.kind);
  if (error.kind === 'CMD') w.text(` ${error.reason}`);
  if (error.kind === 'STORE') w.text(` ${error.text}`);
  if (error.kind === 'PROXY') writeProxyError(w.text(' '), error.error, version);
}

function writeBlocked(w: Writer, error: Extract<ErrorType, { kind: 'BLOCKED' }>, version: number): void {
  w.text(version < SINCE.blocked ? 'AUTH' : `BLOCKED reason=${error.reason}`);
  if (error.notice === undefined || version < SINCE.blockedNotice) return;
  const { ttl } = error.notice;
  w.text(ttl === undefined ? ',notice={}' : `,notice={"ttl":${ttl}}`);
}

function writeProxyError(w: Writer, error: ProxyError, version: number): void {
  w.text(error.kind);
  if (error.kind === 'PROTOCOL') writeError(w.text(' '), error.error, version);
  if (error.kind === 'BROKER') writeBrokerError(w.text(' '), error.error);
}

function writeBrokerError(w: Writer, error: BrokerError): void {
  w.text(error.kind);
  if (error.kind === 'TRANSPORT') writeTransportError(w.text(' '), error.error);
  else if (error.kind === 'NETWORK') {
    if (error.error !== undefined) writeWithText(w.text(' '), error.error);
  } else if ('text' in error) w.text(' ').shortString(error.text);
}

function writeWithText(w: Writer, error: NetworkError): void {
  w.text(error.kind);
  if ('text' in error) w.text(' ').shortString(error.text);
}

function writeTransportError(w: Writer, error: TransportError): void {
  w.text(error.kind);
  if (error.kind === 'HANDSHAKE') w.text(` ${error.reason}`);
}

function readError(r: Reader, depth: number): ErrorType {
  if (depth === 0) throw new DecodeError('error too deep');
  if (r.accept('CMD ')) return { kind: 'CMD', reason: readCommandReason(r) };
  if (r.accept('BLOCKED reason=')) return readBlocked(r);
  if (r.accept('STORE ')) return { kind: 'STORE', text: legible(r.tail()) };
  if (r.accept('PROXY ')) return { kind: 'PROXY', error: readProxyError(r, depth) };
  return { kind: readWord(r, SIMPLE) };
}

/** NO_QUEUE is NO_ENTITY's old name. */
const readCommandReason = (r: Reader): CommandErrorReason =>
  r.accept('NO_QUEUE') ? 'NO_ENTITY' : readWord(r, COMMAND);

function readBlocked(r: Reader): ErrorType {
  const reason = readWord(r, BLOCKED);
  if (!r.accept(',notice=')) return { kind: 'BLOCKED', reason };
  return { kind: 'BLOCKED', reason, notice: readNotice(text(r.tail())) };
}

function readNotice(json: string): BlockedNotice {
  let notice: unknown;
  try {
    notice = JSON.parse(json);
  } catch {
    throw new DecodeError('not a notice');
  }
  if (typeof notice !== 'object' || notice === null || Array.isArray(notice))
    throw new DecodeError('not a notice');
  const ttl: unknown = (notice as { ttl?: unknown }).ttl ?? undefined;
  if (ttl === undefined) return {};
  if (!Number.isInteger(ttl) || Math.abs(ttl as number) > MAX_TTL) throw new DecodeError('not a notice');
  return { ttl: ttl as number };
}

function readProxyError(r: Reader, depth: number): ProxyError {
  if (r.accept('PROTOCOL ')) return { kind: 'PROTOCOL', error: readError(r, depth - 1) };
  if (r.accept('BROKER ')) return { kind: 'BROKER', error: readBrokerError(r) };
  return { kind: readWord(r, PROXY) };
}

function readBrokerError(r: Reader): BrokerError {
  if (r.accept('TRANSPORT ')) return { kind: 'TRANSPORT', error: readTransportError(r) };
  if (r.accept('NETWORK'))
    return r.accept(' ') ? { kind: 'NETWORK', error: readNetworkError(r) } : { kind: 'NETWORK' };
  for (const kind of BROKER_WITH_TEXT) if (r.accept(`${kind} `)) return { kind, text: r.shortString() };
  return { kind: readWord(r, BROKER) };
}

function readNetworkError(r: Reader): NetworkError {
  for (const kind of NETWORK_WITH_TEXT) if (r.accept(`${kind} `)) return { kind, text: r.shortString() };
  return { kind: readWord(r, NETWORK) };
}

function readTransportError(r: Reader): TransportError {
  if (r.accept('HANDSHAKE ')) return { kind: 'HANDSHAKE', reason: readWord(r, HANDSHAKE) };
  return { kind: readWord(r, TRANSPORT) };
}

/** One of the words; no word here begins with another one of its list. */
function readWord<const T extends string>(r: Reader, words: readonly T[]): T {
  const word = words.find((candidate) => r.accept(candidate));
  if (word === undefined) throw new DecodeError('unknown error');
  return word;
}

/** What a database said may be cut anywhere, and the error is known without it. */
const legible = (bytes: Bytes): string => lenient.decode(bytes);
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

function text(bytes: Bytes): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new DecodeError('not UTF-8');
  }
}
