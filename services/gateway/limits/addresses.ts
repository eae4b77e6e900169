/**
 * Admission by address, before anything is read (design §6): connections, and checks that failed, per IPv4 address
 * or IPv6 /64. Loopback, where a proxy or a Tor daemon stands, is one pool that may use all connections.
 */
import { LOOPBACK_BLOCK } from '../../../shared/run/address-block.js';
import type { Clock } from '../../../shared/run/clock.js';
import { after, type Limit, perSecond, waitMs } from './gcra.js';

/** Address blocks with failures that are remembered; the oldest is forgotten. */
const MAX_FAILING = 10_000;

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
    const limit = block === LOOPBACK_BLOCK ? connections : connectionsPerAddress;
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
    if (tat === undefined || block === LOOPBACK_BLOCK) return 0;
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
