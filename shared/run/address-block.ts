/** Peers' addresses as limits count them: an IPv6 client has a whole /64 to itself. */
import { isIPv4, isIPv6 } from 'node:net';

/** Where a proxy or a Tor daemon on this machine stands for many; also for addresses that are none. */
export const LOOPBACK_BLOCK = 'loopback';

/** The block that an address belongs to: an IPv4 address, the first 64 bits of an IPv6 address, or loopback. */
export function addressBlock(address: string | undefined): string {
  const text = (address ?? '').replace(/^::ffff:/i, '');
  if (isIPv4(text)) return text.startsWith('127.') ? LOOPBACK_BLOCK : text;
  if (!isIPv6(text) || text === '::1') return LOOPBACK_BLOCK;
  return firstGroups(text).join(':');
}

/** The first four groups of an IPv6 address, without leading zeros. */
function firstGroups(text: string): string[] {
  const [head = '', tail] = (text.split('%')[0] ?? '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
}
