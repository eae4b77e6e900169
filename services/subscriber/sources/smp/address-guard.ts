/**
 * Which network addresses may be dialled. Server addresses come from clients and are hostile (design §3): without
 * this, anyone could make a subscriber knock at the doors of its own network. Judged is the address that is really
 * dialled, at every attempt, so a name that resolves to another place tomorrow helps nobody.
 */
import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { ipAddressBytes } from '../../../../shared/crypto/ip-address.js';

/** Special-purpose IPv4 (RFC 6890 and its registry), and a metadata service with a public address (Azure). */
const FORBIDDEN_V4 = [
  ['0.0.0.0/8', 'this network'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'carrier-grade NAT'],
  ['127.0.0.0/8', 'loopback'],
  ['168.63.129.16/32', 'metadata'],
  ['169.254.0.0/16', 'link-local, metadata'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'protocol assignments, metadata'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', '6to4 relay'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmarks'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved, broadcast'],
] as const;

/** Of IPv6 only global unicast may be dialled: loopback, mapped, NAT64, ULA, link-local, multicast lie outside. */
const GLOBAL_V6 = '2000::/3';
/** Inside it: Teredo and other assignments, documentation, 6to4 (which hides an IPv4 address). */
const FORBIDDEN_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'] as const;

interface Range {
  readonly prefix: Uint8Array;
  readonly bits: number;
}

/** Parses `address/bits` or a single address. Throws `RangeError` where it is neither. */
function range(text: string): Range {
  const [address = '', bits] = text.split('/');
  const prefix = parseAddress(address);
  const length = bits === undefined ? (prefix?.length ?? 0) * 8 : Number(bits);
  if (!prefix || !/^\d{1,3}$/.test(bits ?? '0') || length > prefix.length * 8) {
    throw new RangeError('not a range of network addresses');
  }
  return { prefix, bits: length };
}

function within(address: Uint8Array, { prefix, bits }: Range): boolean {
  if (address.length !== prefix.length) return false;
  for (let i = 0, left = bits; left > 0; i++, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff00 >> left) & 0xff;
    if (((address[i]! ^ prefix[i]!) & mask) !== 0) return false;
  }
  return true;
}

const forbiddenV4 = FORBIDDEN_V4.map(([text]) => range(text));
const forbiddenV6 = FORBIDDEN_V6.map(range);
const globalV6 = range(GLOBAL_V6);

/** Whether an address (4 or 16 bytes) belongs to the public Internet. */
export function isPublic(address: Uint8Array): boolean {
  if (address.length === 4) return !forbiddenV4.some((r) => within(address, r));
  return within(address, globalV6) && !forbiddenV6.some((r) => within(address, r));
}

/** A host as it is dialled: without the pair of brackets that an address may stand in. */
export function withoutBrackets(host: string): string {
  return /^\[(.+)\]$/.exec(host)?.[1] ?? host;
}

/** Bytes of an IP address as text (IPv6 with or without brackets, without zone), undefined for anything else. */
export function parseAddress(text: string): Uint8Array | undefined {
  const bare = withoutBrackets(text);
  return isIP(bare) === 0 || bare.includes('%') ? undefined : ipAddressBytes(bare);
}

/** The name resolves to forbidden addresses only. Says nothing of name or address. */
export class ForbiddenAddressError extends Error {
  override readonly name = 'ForbiddenAddressError';

  constructor() {
    super('address may not be dialled');
  }
}

/** Resolves a name, as `dns.lookup` does. */
export type Resolve = (
  name: string,
  options: { all: true },
  done: (error: Error | null, addresses: LookupAddress[]) => void,
) => void;

/** Names whose last label is a number are IPv4 addresses to resolvers (WHATWG URL, "ends in a number"). */
const ENDS_IN_NUMBER = /(^|\.)(\d+|0x[0-9a-f]*)\.?$/i;
const LOCAL = /(^|\.)localhost\.?$/i;

export class AddressGuard {
  private readonly allowed: readonly Range[];

  /** @param allow ranges open beside the public Internet, for tests and private networks (`10.1.0.0/16`, `::1`) */
  constructor(allow: readonly string[] = []) {
    this.allowed = allow.map(range);
  }

  /** Whether this IP address (text) may be dialled. */
  permits(ip: string): boolean {
    const address = parseAddress(ip);
    return address !== undefined && (isPublic(address) || this.allowed.some((r) => within(address, r)));
  }

  /**
   * Whether a host is an address in clear that may not be dialled, judged by the text that `connect` would take for
   * one: it asks no resolver then. Names are judged when they are resolved.
   */
  refuses(host: string): boolean {
    return isIP(withoutBrackets(host)) !== 0 && !this.permits(host);
  }

  /**
   * Whether a host must not be asked of a proxy, which resolves it where nobody here can judge: a forbidden address,
   * also in the spellings that resolvers take for one (`127.1`, `0x7f000001`), and the proxy's own machine.
   */
  refusesByProxy(host: string): boolean {
    if (parseAddress(host)) return this.refuses(host);
    return ENDS_IN_NUMBER.test(host) || LOCAL.test(host);
  }

  /** A lookup for `net.connect` that lets only permitted addresses through. */
  lookup(resolve: Resolve): LookupFunction {
    return (name, options, done) =>
      resolve(name, { ...(options as LookupOptions), all: true }, (error, found) => {
        const permitted = error ? [] : found.filter(({ address }) => this.permits(address));
        const first = permitted[0];
        if (error || !first) done(error ?? new ForbiddenAddressError(), '', 0);
        else if (options.all) done(null, permitted);
        else done(null, first.address, first.family);
      });
  }
}
