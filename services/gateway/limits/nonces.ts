/**
 * Nonces of signed requests, kept for at least 120 s (relay.md §2): two sets, and the older is dropped each time.
 * Bounded for each account and in all; a full memory refuses new requests, for forgetting a nonce would let its
 * request be sent again. The sets are common, so that a nonce stays known when its signer changes account.
 */
import { type Bytes, latin1 } from '../../../shared/encoding/bytes.js';
import { NONCE_LIFE_SECONDS } from '../../../shared/relay/signature.js';

/** Whole seconds are compared with the window, so that a request can be good for nearly one more. */
const TURN_MS = (NONCE_LIFE_SECONDS + 1) * 1000;

/** How many nonces one account has here. */
export class NonceQuota {
  readonly limit: number;
  private current = 0;
  private previous = 0;
  private turn = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Counts one more in turn number `turn`; false where the account has its share. */
  take(turn: number): boolean {
    if (turn !== this.turn) {
      this.previous = turn === this.turn + 1 ? this.current : 0;
      this.current = 0;
      this.turn = turn;
    }
    if (this.current + this.previous >= this.limit) return false;
    this.current++;
    return true;
  }
}

/** A nonce is not seen before; it was seen; there is no room to remember it. */
export type NonceAnswer = 'new' | 'seen' | 'full';

export interface NonceMemory {
  /** Nonces remembered here. */
  readonly size: number;
  /** Remembers a nonce; at once where this process alone decides. `now`: monotonic ms. */
  add(signer: Bytes, nonce: Bytes, quota: NonceQuota, now: number): NonceAnswer | Promise<NonceAnswer>;
}

export class Nonces implements NonceMemory {
  private readonly capacity: number;
  private current = new Set<string>();
  private previous = new Set<string>();
  private turn = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.current.size + this.previous.size;
  }

  add(signer: Bytes, nonce: Bytes, quota: NonceQuota, now: number): NonceAnswer {
    this.turnTo(Math.floor(now / TURN_MS));
    const key = latin1(signer) + latin1(nonce);
    if (this.current.has(key) || this.previous.has(key)) return 'seen';
    if (this.size >= this.capacity || !quota.take(this.turn)) return 'full';
    this.current.add(key);
    return 'new';
  }

  private turnTo(turn: number): void {
    if (turn === this.turn) return;
    this.previous = turn === this.turn + 1 ? this.current : new Set();
    this.current = new Set();
    this.turn = turn;
  }
}
