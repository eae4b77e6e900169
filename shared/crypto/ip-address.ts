/** IP addresses as the bytes that certificates hold. */
import { isIPv4 } from 'node:net';

const GROUPS = 8;

/** 4 or 16 bytes of an address that `isIP` takes (without a zone). */
export function ipAddressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number);
  const [head = '', tail] = address.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const gap = new Array<number>(GROUPS - before.length - after.length).fill(0);
  return Uint8Array.from([...before, ...gap, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}

/** The 16-bit groups of a part of an IPv6 address; one in dotted form counts as two. */
function groups(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = ipAddressBytes(group);
    return [(a << 8) | b, (c << 8) | d];
  });
}
