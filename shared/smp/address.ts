/**
 * Addresses of servers and of notifier queues, binary and as text (guide A.5). Host order and port text are kept
 * exactly as they came: `''` and `'5223'` are different values wherever a client compares them.
 * A queue's address must never reach a log, so errors here carry none of it.
 */
import { fromBase64url, toBase64url } from '../encoding/base64url.js';
import { type Bytes, latin1 } from '../encoding/bytes.js';
import { DecodeError, type Reader } from '../encoding/reader.js';
import type { Writer } from '../encoding/writer.js';
import { KEY_HASH_SIZE, MAX_SHORT_STRING } from './constants.js';

export interface ServerAddress {
  /** One or more; the first is the preferred one. */
  readonly hosts: readonly string[];
  /** Decimal text; empty means the default. */
  readonly port: string;
  /** SHA-256 of the identity certificate (32). */
  readonly keyHash: Uint8Array;
}

export interface SmpQueue {
  readonly server: ServerAddress;
  readonly notifierId: Uint8Array;
}

/** Longest address text that is looked at: 255 hosts never come, a handful may. */
const MAX_TEXT = 4_096;

const PORT = /^\d{0,5}$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
const DIGITS_AND_DOTS = /^[\d.]+$/;
const IPV6 = /^(?=.*:.*:)[0-9a-fA-F:]+$/;
const IPV6_BRACKETS = /^\[([0-9a-fA-F:.]+)\]$/;
const ONION = /^[a-z0-9]*\.onion$/;
/** Printable ASCII without the characters that end a host. */
const DOMAIN = /^[!-~]+$/;
const SEPARATORS = /[:#,;/]/;

/** The host as it is printed: IPv6 loses its brackets, all else stays. Throws `DecodeError`. */
function checkedHost(text: string): string {
  const inner = IPV6_BRACKETS.exec(text)?.[1];
  if (inner !== undefined) return inner;
  const known = IPV4.test(text) || IPV6.test(text) || ONION.test(text);
  if (!known && !isDomain(text)) throw new DecodeError('not a host');
  return text;
}

const isDomain = (text: string): boolean =>
  DOMAIN.test(text) && !SEPARATORS.test(text) && !text.endsWith('.onion') && !DIGITS_AND_DOTS.test(text);

function checkedPort(text: string): string {
  if (!PORT.test(text)) throw new DecodeError('not a port');
  return text;
}

/** Reads the binary form of a server. The hash is a view. Throws `DecodeError`. */
export function readServer(r: Reader): ServerAddress {
  const hosts = r.nonEmpty(() => checkedHost(latin1(r.shortString())));
  const port = checkedPort(latin1(r.shortString()));
  const keyHash = r.shortString();
  if (keyHash.length !== KEY_HASH_SIZE) throw new DecodeError('not a fingerprint');
  return { hosts, port, keyHash };
}

export function writeServer(w: Writer, { hosts, port, keyHash }: ServerAddress): Writer {
  if (hosts.length === 0) throw new RangeError('no host');
  w.list(hosts, (host) => writeText(w, host));
  return writeText(w, port).shortString(keyHash);
}

const writeText = (w: Writer, text: string): Writer => w.u8(text.length).text(text);

/** Reads the binary form of a notifier queue. Byte fields are views. Throws `DecodeError`. */
export function readQueue(r: Reader): SmpQueue {
  return { server: readServer(r), notifierId: r.shortString() };
}

export const writeQueue = (w: Writer, queue: SmpQueue): Writer =>
  writeServer(w, queue.server).shortString(queue.notifierId);

/** `scheme://keyHash@host,host:port`; the port is left out when empty. */
export function formatServer({ hosts, port, keyHash }: ServerAddress, scheme: 'smp' | 'ntf' = 'smp'): string {
  return `${scheme}://${toBase64url(keyHash)}@${hosts.join(',')}${port === '' ? '' : `:${port}`}`;
}

/** A server without a password. Throws `DecodeError`. */
export function parseServer(text: string, scheme: 'smp' | 'ntf' = 'smp'): ServerAddress {
  const match = text.length <= MAX_TEXT ? /^([a-z]+):\/\/([\w-]+=*)@([^/\s]+)$/.exec(text) : null;
  const keyHash = fromBase64url(match?.[2] ?? '');
  if (match?.[1] !== scheme || keyHash?.length !== KEY_HASH_SIZE)
    throw new DecodeError('not a server address');
  const { hosts, port } = splitHosts(match[3]!);
  return { hosts: hosts.map(checkedHost), port: checkedPort(port), keyHash };
}

/** A bare IPv6 literal takes a following port for its own: guide A.5 advises against such addresses. */
function splitHosts(text: string): { hosts: string[]; port: string } {
  const hosts = text.split(',');
  const last = hosts.pop()!;
  const colon = IPV6.test(last) ? -1 : last.lastIndexOf(':');
  if (colon < 0 || last.endsWith(']')) return { hosts: [...hosts, last], port: '' };
  if (colon === last.length - 1) throw new DecodeError('no port');
  return { hosts: [...hosts, last.slice(0, colon)], port: last.slice(colon + 1) };
}

/** `smp://…/notifierId`, as push payloads name a queue. */
export const formatQueue = ({ server, notifierId }: SmpQueue): string =>
  `${formatServer(server)}/${toBase64url(notifierId)}`;

/** Throws `DecodeError`. */
export function parseQueue(text: string): SmpQueue {
  const slash = text.lastIndexOf('/');
  const notifierId = fromBase64url(text.slice(slash + 1));
  if (slash < 0 || !isId(notifierId)) throw new DecodeError('not a queue address');
  return { server: parseServer(text.slice(0, slash)), notifierId };
}

const isId = (id: Bytes | undefined): id is Uint8Array =>
  id !== undefined && id.length > 0 && id.length <= MAX_SHORT_STRING;
