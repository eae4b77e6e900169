/**
 * Whose request it is behind proxies: the last hop of `X-Forwarded-For` that is no trusted proxy. Everything to the
 * left of it was written by the client and means nothing. Without trusted proxies the header is never read.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { addressBlock, LOOPBACK_BLOCK } from '../../../shared/run/address-block.js';

/** Hops that are looked at, from the right; proxies stand in short rows. */
const MAX_HOPS = 8;
/** Longest address in text, brackets included. */
const MAX_ADDRESS = 47;
/** A header may name loopback; that is no reason to trust it as loopback itself is. */
const NAMED_LOOPBACK = 'loopback by name';

/** Where a request came from. */
export interface ClientAddresses {
  /** Whether this peer is a proxy whose word counts. */
  isProxy(remote: string | undefined): boolean;
  /** The address block that a request counts in. */
  blockOf(remote: string | undefined, forwardedFor: string | undefined): string;
}

/** `address` or `address/bits`; undefined where it is neither. */
export function parseNetwork(text: string): { address: string; bits: number } | undefined {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  const isNumber = bits === undefined || /^\d{1,3}$/.test(bits);
  if (version === 0 || address.includes('%') || rest.length > 0 || !isNumber) return undefined;
  const length = bits === undefined ? most : Number(bits);
  return length <= most ? { address, bits: length } : undefined;
}

/** @param trusted addresses and networks of proxies */
export function clientAddresses(trusted: readonly string[]): ClientAddresses {
  const proxies = new BlockList();
  for (const text of trusted) {
    const network = parseNetwork(text);
    if (network === undefined) throw new RangeError('not an address or network');
    proxies.addSubnet(network.address, network.bits, isIPv6(network.address) ? 'ipv6' : 'ipv4');
  }
  const isProxy = (address: string | undefined): boolean => {
    const plain = unmapped(address ?? '');
    return isIP(plain) !== 0 && proxies.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
  };
  return {
    isProxy,
    blockOf(remote, forwardedFor) {
      if (trusted.length === 0 || forwardedFor === undefined || !isProxy(remote)) return addressBlock(remote);
      const client = lastUntrusted(forwardedFor, isProxy);
      if (client === undefined) return addressBlock(remote);
      const block = addressBlock(client);
      return block === LOOPBACK_BLOCK ? NAMED_LOOPBACK : block;
    },
  };
}

/**
 * Walks from the right over trusted proxies. What is no address ends the walk at the hop that named it: that hop is
 * the last one whose word counts. Undefined where even the rightmost is none.
 */
export function lastUntrusted(
  forwardedFor: string,
  isTrusted: (address: string) => boolean,
): string | undefined {
  let last: string | undefined;
  let end = forwardedFor.length;
  for (let hops = 0; hops < MAX_HOPS && end >= 0; hops++) {
    const comma = forwardedFor.lastIndexOf(',', end - 1);
    const start = end === 0 ? 0 : comma + 1;
    const address = hopAddress(forwardedFor.slice(start, end));
    if (address === undefined) return last;
    last = address;
    if (!isTrusted(address)) return last;
    end = start - 1;
  }
  return last;
}

/** One hop: an address and nothing else, IPv6 perhaps in brackets; spaces and tabs around it. */
function hopAddress(hop: string): string | undefined {
  if (hop.length > MAX_ADDRESS + 16) return undefined;
  const text = hop.replace(/^[ \t]+|[ \t]+$/g, '');
  const bare = /^\[([^[\]]*)\]$/.exec(text)?.[1];
  const address = bare ?? text;
  const isAddress = bare === undefined ? isIP(address) !== 0 : isIPv6(address);
  return isAddress && !address.includes('%') ? unmapped(address) : undefined;
}

/** IPv4 addresses come as `::ffff:a.b.c.d` where the socket speaks both. */
const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
