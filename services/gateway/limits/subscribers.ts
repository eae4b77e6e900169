/**
 * Admission by subscriber (design §6). Identities are free, so those without a proven device share one pool and have
 * no memory of their own; a real phone can't be made for free, so an allowance grows with the proven devices, and
 * newcomers never displace those who have some.
 */
import type { Clock } from '../../../shared/run/clock.js';
import { after, type Limit, waitMs } from './gcra.js';
import { NonceQuota } from './nonces.js';

const DAY_MS = 24 * 3_600_000;
/** Allowance saved up: seconds of the basic rate, and pushes for each proven device (its burst at the gateway). */
const BURST_SECONDS = 10;
const BURST_PER_DEVICE = 60;

export interface SubscribersOptions {
  readonly clock: Clock;
  /** Established subscribers that are remembered. */
  readonly capacity: number;
  /** Frames a second of one established subscriber, and of all newcomers together. */
  readonly rate: number;
  readonly newcomerRate: number;
  /** Requests running at once, of one established subscriber, and of all newcomers together. */
  readonly requests: number;
  readonly newcomerRequests: number;
  readonly nonces: number;
}

/** What the operator said of one subscriber, in place of what holds for everybody. */
export interface OperatorsWord {
  /** Frames a second, at least 1. */
  readonly rate?: number | undefined;
  /** Requests running at once. */
  readonly requests?: number | undefined;
}

/** One subscriber's allowance, or the one that all newcomers share. */
export class Account {
  readonly nonces: NonceQuota;
  readonly established: boolean;
  private readonly rate: number;
  private readonly requests: number;
  private tat = 0;
  private running = 0;
  private devicesToday = 0;
  private devicesBefore = 0;
  private dayBegun: number;

  constructor(rate: number, requests: number, nonces: number, established: boolean, now: number) {
    this.rate = rate;
    this.requests = requests;
    this.nonces = new NonceQuota(nonces);
    this.established = established;
    this.dayBegun = now;
  }

  get idle(): boolean {
    return this.running === 0;
  }

  /** A proven device was seen for the first time today. */
  sawDevice(now: number): void {
    this.turn(now);
    this.devicesToday++;
  }

  /** Proven devices that it has woken, today or yesterday. */
  get devices(): number {
    return Math.max(this.devicesToday, this.devicesBefore);
  }

  /** Begins a request of `cost` frames; 0 = go (then call `leave`), else seconds to wait. */
  enter(cost: number, now: number, said: OperatorsWord = {}): number {
    const limit = this.limit(now, said);
    const wait = waitMs(this.tat, now, limit, Math.min(cost, limit.burst));
    if (wait > 0) return Math.ceil(wait / 1000);
    if (this.running >= (said.requests ?? this.requests)) return 1;
    this.tat = after(this.tat, now, limit, cost);
    this.running++;
    return 0;
  }

  leave(): void {
    this.running--;
  }

  /** Seconds until a request of one frame would be let in; 0 = now. Changes nothing but the day. */
  wait(now: number): number {
    return Math.ceil(waitMs(this.tat, now, this.limit(now, {})) / 1000);
  }

  /** Grows with the devices, unless the operator has said how much it is. */
  private limit(now: number, { rate }: OperatorsWord): Limit {
    this.turn(now);
    const { devices } = this;
    if (rate !== undefined) return { periodMs: 1000 / rate, burst: rate * BURST_SECONDS };
    const burst = this.rate * BURST_SECONDS + devices * BURST_PER_DEVICE;
    return { periodMs: 1000 / (this.rate + devices), burst };
  }

  private turn(now: number): void {
    const passed = now - this.dayBegun;
    if (passed < DAY_MS) return;
    this.devicesBefore = passed < 2 * DAY_MS ? this.devicesToday : 0;
    this.devicesToday = 0;
    this.dayBegun = now;
  }
}

export class Subscribers {
  private readonly options: SubscribersOptions;
  private readonly accounts = new Map<string, Account>();
  private readonly newcomers: Account;

  constructor(options: SubscribersOptions) {
    this.options = options;
    const { newcomerRate, newcomerRequests, nonces, clock } = options;
    this.newcomers = new Account(newcomerRate, newcomerRequests, nonces, false, clock.monotonic());
  }

  /** Established subscribers that are remembered. */
  get size(): number {
    return this.accounts.size;
  }

  /** Whether a subscriber has an account of its own; a question that leaves no trace. */
  has(tag: string): boolean {
    return this.accounts.has(tag);
  }

  /** Proven devices of a subscriber, as far as they were woken lately. */
  devices(tag: string): number {
    return this.accounts.get(tag)?.devices ?? 0;
  }

  /** The account of a subscriber's tag: its own, or the newcomers'. */
  account(tag: string): Account {
    const account = this.accounts.get(tag);
    if (account === undefined) return this.newcomers;
    // Most recently used last.
    this.accounts.delete(tag);
    this.accounts.set(tag, account);
    return account;
  }

  /** Seconds until newcomers may ask again; 0 = now. */
  newcomersWait(now: number): number {
    return this.newcomers.wait(now);
  }

  /** Gives a subscriber with a proven device (or on the operator's list) an account of its own. */
  establish(tag: string): Account {
    const known = this.accounts.get(tag);
    if (known !== undefined) return known;
    const { rate, requests, nonces, capacity, clock } = this.options;
    if (this.accounts.size >= capacity && !this.forgetOne()) return this.newcomers;
    const account = new Account(rate, requests, nonces, true, clock.monotonic());
    this.accounts.set(tag, account);
    return account;
  }

  /** Forgets the one that was idle longest; false where all of the oldest are busy. */
  private forgetOne(): boolean {
    let looked = 0;
    for (const [tag, account] of this.accounts) {
      if (account.idle) return this.accounts.delete(tag);
      if (++looked === 16) break;
    }
    return false;
  }
}
