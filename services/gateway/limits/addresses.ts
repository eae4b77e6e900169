/**
 * Admission by address, before anything is read (design §6): connections, and checks that failed, per IPv4 address
 * or IPv6 /64. Loopback, where a proxy or a Tor daemon stands, is one pool that may use all connections.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Clock } from '../../../shared/run/clock.js';
import { after, type Limit, perSecond, waitMs } from './gcra.js';

const LOOPBACK = 'loopback';
/** Address blocks with failures that are remembered; the oldest is forgotten. */
const MAX_FAILING = 10_000;

/** The block that an address belongs to: an IPv4 address, the first 64 bits of an IPv6 address, or `loopback`. */
export function addressBlock(address: string | undefined): string {
  const text = (address ?? '').replace(/^::ffff:/i, '');
  if (isIPv4(text)) return text.startsWith('127.') ? LOOPBACK : text;
  if (!isIPv6(text) || text === '::1') return LOOPBACK;
  return ipv6Groups(text).slice(0, 4).join(':');
}

function ipv6Groups(text: string): string[] {
  const [head = '', tail] = (text.split('%')[0] ?? '').toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...new Array<string>(zeros).fill('0'), ...right].map((group) =>
    Number.parseInt(group, 16).toString(16),
  );
}

export interface AddressesOptions {
  readonly clock: Clock;
  /** Open connections in all, and of one block. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  /** Failed checks of one block at once; then one a second. */
  readonly failuresPerAddress: number;
}

export class Addresses {
  private readonly options: AddressesOptions;
  private readonly failureLimit: Limit;
  private readonly open = new Map<string, number>();
  private readonly failing = new Map<string, number>();
  private total = 0;

  constructor(options: AddressesOptions) {
    this.options = options;
    this.failureLimit = perSecond(1, options.failuresPerAddress);
  }

  get connections(): number {
    return this.total;
  }

  /** Counts a connection in; false = close it. */
  enter(block: string): boolean {
    const count = this.open.get(block) ?? 0;
    const { connections, connectionsPerAddress } = this.options;
    const limit = block === LOOPBACK ? connections : connectionsPerAddress;
    if (count >= limit || this.total >= connections) return false;
    this.open.set(block, count + 1);
    this.total++;
    return true;
  }

  leave(block: string): void {
    const count = this.open.get(block) ?? 0;
    if (count <= 1) this.open.delete(block);
    else this.open.set(block, count - 1);
    this.total--;
  }

  /** Seconds to wait after too many failed checks; 0 = go on. Never for loopback: it stands for many. */
  blockedSeconds(block: string): number {
    const tat = this.failing.get(block);
    if (tat === undefined || block === LOOPBACK) return 0;
    return Math.ceil(waitMs(tat, this.options.clock.monotonic(), this.failureLimit) / 1000);
  }

  /** A check failed: a signature, a clock, a body that is no request. */
  failed(block: string): void {
    const now = this.options.clock.monotonic();
    const tat = this.failing.get(block) ?? 0;
    this.failing.delete(block);
    this.failing.set(block, after(tat, now, this.failureLimit));
    if (this.failing.size > MAX_FAILING) this.failing.delete(this.failing.keys().next().value!);
  }
}
