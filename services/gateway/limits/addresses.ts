/**
 * Admission by address, before anything is read (design §6): connections, requests under way, checks that failed, and
 * requests of newcomers, per IPv4 address or IPv6 /64. What stands for many is a common pool: loopback may use all
 * connections; what comes through the listener for .onion has a share of its own, apart from everybody else's.
 */
import { LOOPBACK_BLOCK } from '../../../shared/run/address-block.js';
import type { Clock } from '../../../shared/run/clock.js';
import { after, type Limit, perSecond, waitMs } from './gcra.js';

/** Everything that a Tor daemon brings: circuits have no addresses. */
export const ONION_BLOCK = 'onion';
/** Connections of trusted proxies; their requests belong to their clients' blocks. */
export const PROXY_BLOCK = 'proxy';

/** Blocks remembered of each kind; the oldest is forgotten. */
const MAX_BLOCKS = 10_000;
/** New connections of one block a second, once it has used up what it may have open. */
const CONNECTS_PER_SECOND = 10;
/** A pool's part of what all newcomers may ask for. */
const POOL_PART = 1 / 4;
const BURST_SECONDS = 10;

/** Whether a block stands for many, so that one of them can't be told from the others. */
export const isCommonBlock = (block: string): boolean => block === LOOPBACK_BLOCK || block === ONION_BLOCK;

/** Loopback and proxies are the operator's own. */
const isTrusted = (block: string): boolean => block === LOOPBACK_BLOCK || block === PROXY_BLOCK;

export interface AddressesOptions {
  readonly clock: Clock;
  /** Open connections in all, of one block, and of all that comes through Tor. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly onionConnections: number;
  /** Failed checks of one block at once; then one a second. */
  readonly failuresPerAddress: number;
  /** Newcomers' requests a second, of one block and of all together. */
  readonly newcomersPerAddress: number;
  readonly newcomers: number;
}

/** One bucket a block, bounded in number. */
class BlockBuckets {
  private readonly tats = new Map<string, number>();

  get size(): number {
    return this.tats.size;
  }

  wait(block: string, now: number, limit: Limit): number {
    const tat = this.tats.get(block);
    return tat === undefined ? 0 : waitMs(tat, now, limit);
  }

  take(block: string, now: number, limit: Limit): void {
    const tat = this.tats.get(block) ?? 0;
    this.tats.delete(block);
    this.tats.set(block, after(tat, now, limit));
    if (this.tats.size > MAX_BLOCKS) this.tats.delete(this.tats.keys().next().value!);
  }
}

/** How many of something each block has now. */
class BlockCounts {
  total = 0;
  private readonly counts = new Map<string, number>();

  of(block: string): number {
    return this.counts.get(block) ?? 0;
  }

  add(block: string): void {
    this.counts.set(block, this.of(block) + 1);
    this.total++;
  }

  remove(block: string): void {
    const left = this.of(block) - 1;
    if (left > 0) this.counts.set(block, left);
    else this.counts.delete(block);
    this.total--;
  }
}

export class Addresses {
  private readonly options: AddressesOptions;
  private readonly failureLimit: Limit;
  private readonly open = new BlockCounts();
  private readonly asking = new BlockCounts();
  private readonly failing = new BlockBuckets();
  private readonly connecting = new BlockBuckets();
  private readonly newcomers = new BlockBuckets();

  constructor(options: AddressesOptions) {
    this.options = options;
    this.failureLimit = perSecond(1, options.failuresPerAddress);
  }

  get connections(): number {
    return this.open.total;
  }

  /** Blocks that something is remembered of. */
  get size(): number {
    return this.failing.size + this.connecting.size + this.newcomers.size;
  }

  /** Counts a connection in; false = close it. */
  enter(block: string): boolean {
    const { connections, clock } = this.options;
    const now = clock.monotonic();
    const most = this.connectionsOf(block);
    const limit = perSecond(CONNECTS_PER_SECOND, 2 * most);
    if (this.open.of(block) >= most || this.open.total >= connections) return false;
    if (!isTrusted(block)) {
      if (this.connecting.wait(block, now, limit) > 0) return false;
      this.connecting.take(block, now, limit);
    }
    this.open.add(block);
    return true;
  }

  leave(block: string): void {
    this.open.remove(block);
  }

  /**
   * Counts a request in; false = too many. A connection has one at a time, so this stops only those behind a proxy,
   * which have no connections of their own here.
   */
  begin(block: string): boolean {
    if (this.asking.of(block) >= this.connectionsOf(block)) return false;
    this.asking.add(block);
    return true;
  }

  end(block: string): void {
    this.asking.remove(block);
  }

  /** Seconds to wait after too many failed checks; 0 = go on. Never for loopback: it is the operator's own. */
  blockedSeconds(block: string): number {
    if (isTrusted(block)) return 0;
    return Math.ceil(this.failing.wait(block, this.options.clock.monotonic(), this.failureLimit) / 1000);
  }

  /** A check failed: a handshake, a signature, a body that is no request. One too many blocks for a second, not for each. */
  failed(block: string): void {
    const now = this.options.clock.monotonic();
    if (this.failing.wait(block, now, this.failureLimit) > 0) return;
    this.failing.take(block, now, this.failureLimit);
  }

  /** Takes one request of a newcomer; seconds to wait where its block has had its part. */
  newcomer(block: string): number {
    if (isTrusted(block)) return 0;
    const now = this.options.clock.monotonic();
    const { newcomersPerAddress, newcomers } = this.options;
    const rate = block === ONION_BLOCK ? newcomers * POOL_PART : newcomersPerAddress;
    const limit = perSecond(rate, rate * BURST_SECONDS);
    const wait = this.newcomers.wait(block, now, limit);
    if (wait > 0) return Math.ceil(wait / 1000);
    this.newcomers.take(block, now, limit);
    return 0;
  }

  private connectionsOf(block: string): number {
    const { connections, connectionsPerAddress, onionConnections } = this.options;
    if (isTrusted(block)) return connections;
    return block === ONION_BLOCK ? onionConnections : connectionsPerAddress;
  }
}
