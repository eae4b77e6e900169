/**
 * What a person hands to an app so that it finds its subscriber: one `porchlight://` URI, as text or QR code. Its form
 * is in README.md. It holds no secret, and nobody's name but those of two machines and an app. Pure.
 */

import { fromBase64url, toBase64urlBare } from '../encoding/base64url.js';
import { hostPort } from '../encoding/host-port.js';
import { DecodeError } from '../encoding/reader.js';
import { PROFILES, type ProfileName } from '../relay/constants.js';
import type { GatewayAddress } from '../relay/identity.js';

/** The notification server: where it is, and the SHA-256 of its identity certificate. */
export interface SubscriberPlace {
  readonly keyHash: Uint8Array;
  readonly host: string;
  readonly port: number;
}

export interface Pairing {
  readonly subscriber: SubscriberPlace;
  /** Through which that subscriber wakes the app; an app that knows its operator's compares the fingerprint. */
  readonly gateway: GatewayAddress;
  /** Bundle id of the app. */
  readonly topic: string;
  readonly profile: ProfileName;
}

/** Longest URI, in characters: a phone's camera reads a QR code of it from a screen. */
export const MAX_PAIRING = 1_024;

const SCHEME = 'porchlight://';
const DEFAULT_PORT = 443;
const MAX_PARAMETERS = 16;
const KNOWN = ['gateway', 'topic', 'profile'] as const;
/** A form that this code can't know: its parameter `v` would say so. */
const VERSION = 'v';

const HASH_SIZE = 32;
const PLACE = /^([A-Za-z0-9_-]{43})@(?:\[([0-9a-f:]{2,39})\]|([a-z0-9.-]{1,253}))(?::([1-9]\d{0,4}))?$/;
const PARAMETER = /^([a-z][a-z0-9-]{0,31})=([!-~]{1,512})$/;
/** Of printable characters those that would end a parameter or a URI, or spell one thing in two ways. */
const UNSAFE = /["#%&+<>?\\^`{|}]/;
const TOPIC = /^[A-Za-z0-9.-]{1,155}$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const OCTET = /^(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/;

/** Reads a URI. Throws `DecodeError`, whose message repeats nothing of it. */
export function parsePairing(text: string): Pairing {
  if (text.length > MAX_PAIRING || !text.startsWith(SCHEME)) throw new DecodeError('not a porchlight URI');
  const [place = '', query, ...more] = text.slice(SCHEME.length).split('?');
  if (query === undefined || more.length > 0) throw new DecodeError('not a porchlight URI');
  const { gateway, topic, profile } = parameters(query);
  if (topic === undefined || !TOPIC.test(topic)) throw new DecodeError('not a topic');
  const known = PROFILES.find((name) => name === profile);
  if (known === undefined) throw new DecodeError('not a profile');
  const { keyHash, ...at } = parsePlace(gateway ?? '');
  return {
    subscriber: parsePlace(place),
    gateway: { fingerprint: toBase64urlBare(keyHash), ...at },
    topic,
    profile: known,
  };
}

/** Writes a URI. Throws `RangeError` where it would not be read again as the same. */
export function formatPairing({ subscriber, gateway, topic, profile }: Pairing): string {
  const at = formatPlace(toBase64urlBare(subscriber.keyHash), subscriber);
  const text = `${SCHEME}${at}?gateway=${formatPlace(gateway.fingerprint, gateway)}&topic=${topic}&profile=${profile}`;
  try {
    parsePairing(text);
  } catch {
    throw new RangeError('a porchlight URI cannot say this');
  }
  return text;
}

/** Each known name once; others are for later versions, which may only add what can be ignored. */
function parameters(query: string): Partial<Record<(typeof KNOWN)[number], string>> {
  const found = new Map<string, string>();
  const parts = query.split('&', MAX_PARAMETERS + 1);
  if (parts.length > MAX_PARAMETERS) throw new DecodeError('too many parameters');
  for (const part of parts) {
    const [, name, value] = PARAMETER.exec(part) ?? [];
    if (name === undefined || value === undefined || UNSAFE.test(value)) throw new DecodeError('parameter');
    if (found.has(name)) throw new DecodeError('a parameter stands twice');
    found.set(name, value);
  }
  if (found.has(VERSION)) throw new DecodeError('a later form');
  return Object.fromEntries([...found].filter(([name]) => (KNOWN as readonly string[]).includes(name)));
}

function parsePlace(text: string): SubscriberPlace {
  const [, fingerprint = '', ipv6, name = '', digits] = PLACE.exec(text) ?? [];
  const keyHash = fromBase64url(fingerprint);
  if (keyHash?.length !== HASH_SIZE) throw new DecodeError('not a fingerprint and a host');
  if (ipv6 === undefined ? !isName(name) : !isIpv6(ipv6)) throw new DecodeError('not a host');
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (port > 65_535) throw new DecodeError('not a port');
  return { keyHash, host: ipv6 ?? name, port };
}

function formatPlace(fingerprint: string, { host, port }: Pick<SubscriberPlace, 'host' | 'port'>): string {
  return `${fingerprint}@${hostPort(host, port, DEFAULT_PORT)}`;
}

/** A name of DNS, an onion name, or an IPv4 address; lower case, so that there is one spelling. */
function isName(text: string): boolean {
  const labels = text.split('.');
  if (/^\d+$/.test(labels.at(-1)!)) return labels.length === 4 && labels.every((label) => OCTET.test(label));
  return labels.every((label) => LABEL.test(label));
}

/** Groups of hexadecimal digits, at most one gap. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const isFull = halves.length === 1 ? groups.length === 8 : halves.length === 2 && groups.length < 8;
  return isFull && groups.every((group) => /^[0-9a-f]{1,4}$/.test(group));
}
