/**
 * How often one address may start a handshake. Only handshakes are limited by address, never commands: many phones
 * share one address behind a provider's translation (design §4.1).
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Clock } from '../../../shared/run/clock.js';

/** `burst` at once, then `perSecond`. */
export interface HandshakeRate {
  readonly burst: number;
  readonly perSecond: number;
}

export interface AddressLimitsOptions {
  readonly clock: Clock;
  /** Of one IPv4 address or one IPv6 /64. */
  readonly perAddress: HandshakeRate;
  /** Of loopback, where a proxy or a Tor daemon stands for everyone behind it. */
  readonly loopback: HandshakeRate;
  /** Address blocks remembered; the one that was quiet longest is forgotten. */
  readonly addresses: number;
}

const LOOPBACK = 'loopback';

export class AddressLimits {
  private readonly options: AddressLimitsOptions;
  /** Block → monotonic milliseconds at which its bucket will be empty (GCRA); in the order of last use. */
  private readonly emptyAt = new Map<string, number>();

  constructor(options: AddressLimitsOptions) {
    this.options = options;
  }

  /** Counts a handshake; false = refuse it. */
  take(address: string | undefined): boolean {
    const block = addressBlock(address);
    const { perAddress, loopback, clock, addresses } = this.options;
    const { burst, perSecond } = block === LOOPBACK ? loopback : perAddress;
    const now = clock.monotonic();
    const next = Math.max(this.emptyAt.get(block) ?? now, now) + 1000 / perSecond;
    if (next - now > (burst * 1000) / perSecond) return false;
    this.emptyAt.delete(block);
    this.emptyAt.set(block, next);
    if (this.emptyAt.size > addresses) this.emptyAt.delete(this.emptyAt.keys().next().value!);
    return true;
  }
}

/** The block that an address belongs to: an IPv4 address, the first 64 bits of an IPv6 address, or `loopback`. */
export function addressBlock(address: string | undefined): string {
  const text = (address ?? '').replace(/^::ffff:/i, '');
  if (isIPv4(text)) return text.startsWith('127.') ? LOOPBACK : text;
  if (!isIPv6(text) || text === '::1') return LOOPBACK;
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
