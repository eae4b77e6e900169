/**
 * How often one address may start a handshake. Only handshakes are limited by address, never commands: many phones
 * share one address behind a provider's translation (design §4.1).
 */
import { addressBlock, LOOPBACK_BLOCK } from '../../../shared/run/address-block.js';
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
    const { burst, perSecond } = block === LOOPBACK_BLOCK ? loopback : perAddress;
    const now = clock.monotonic();
    const next = Math.max(this.emptyAt.get(block) ?? now, now) + 1000 / perSecond;
    if (next - now > (burst * 1000) / perSecond) return false;
    this.emptyAt.delete(block);
    this.emptyAt.set(block, next);
    if (this.emptyAt.size > addresses) this.emptyAt.delete(this.emptyAt.keys().next().value!);
    return true;
  }
}
