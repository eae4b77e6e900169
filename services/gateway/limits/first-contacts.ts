/**
 * First contacts: pushes to devices that were never proven, so perhaps made up (design §6). Apple counts its refusals,
 * so they are a small share of all pushes: some a second, and some for each hundred pushes that Apple took. Half is
 * for subscribers with proven devices and half for newcomers, where each address block has its own part. Who is mostly
 * refused is stopped for an hour: a subscriber by its tag; newcomers, whose identities cost nothing, by their address
 * block. A common pool (Tor, loopback) stands for many and is not stopped but slowed.
 */
import type { Clock } from '../../../shared/run/clock.js';
import { isCommonBlock } from './addresses.js';
import { after, type Limit, waitMs } from './gcra.js';

const STOP_MS = 3_600_000;
/** Fewer answers than this say nothing. */
const MIN_ANSWERS = 8;
/** Beyond this many, old answers count half. */
const MAX_ANSWERS = 64;
/** Unanswered at once, while nothing was refused; then only as many as were accepted, and a few. */
const MAX_PENDING = 64;
/** Sources remembered, of each kind; the one that asked longest ago is forgotten. */
const CAPACITY = 10_000;
/** What may be saved up. */
const BURST_SECONDS = 10;
/** An address block of newcomers: ten at once, then ten a minute. */
const BLOCK_LIMIT: Limit = { periodMs: 6_000, burst: 10 };
/** A common pool that is mostly refused. */
const SLOWED_LIMIT: Limit = { periodMs: 20_000, burst: 1 };
/** Wait of one that has too many unanswered. */
const PENDING_SECONDS = 5;

/** Whose first contact it is. */
export interface Asker {
  readonly tagText: string;
  /** Address block that the request came from. */
  readonly block: string;
}

/** A first contact under way; one of these is to be called, once. */
export interface Contact {
  /** Apple's word, or undefined where it gave none. */
  answered(word: 'accepted' | 'refused' | undefined): void;
  /** It was not sent: its place is free again. */
  unused(): void;
}

export interface FirstContactsOptions {
  readonly clock: Clock;
  /** A second, of all subscribers together. */
  readonly rate: number;
  /** And so many for each hundred pushes to proven devices that Apple took. */
  readonly percent: number;
  readonly isEstablished: (tagText: string) => boolean;
}

/** A bucket that fills with time and with what is put in. */
class Share {
  private readonly rate: number;
  private tokens: number;
  private filledAt: number;

  constructor(rate: number, now: number) {
    this.rate = rate;
    this.tokens = rate * BURST_SECONDS;
    this.filledAt = now;
  }

  add(tokens: number): void {
    this.tokens = Math.min(this.tokens + tokens, this.rate * BURST_SECONDS);
  }

  /** Seconds until there is one; 0 = now. */
  wait(now: number): number {
    this.add(((now - this.filledAt) / 1000) * this.rate);
    this.filledAt = now;
    return this.tokens >= 1 ? 0 : Math.ceil((1 - this.tokens) / this.rate);
  }

  take(): void {
    this.tokens--;
  }
}

/** A subscriber, an address block or a common pool. */
class Source {
  private readonly limit: Limit | undefined;
  private readonly isCommon: boolean;
  private answers = 0;
  private refused = 0;
  private pending = 0;
  private stoppedUntil = 0;
  private tat = 0;
  private slowedTat = 0;

  constructor(limit: Limit | undefined, isCommon: boolean) {
    this.limit = limit;
    this.isCommon = isCommon;
  }

  /** Seconds to wait; 0 = go. */
  wait(now: number, maxPending: number): number {
    const stopped = this.stoppedUntil - now;
    if (stopped > 0 && !this.isCommon) return Math.ceil(stopped / 1000);
    const slowed = stopped > 0 ? waitMs(this.slowedTat, now, SLOWED_LIMIT) : 0;
    const own = this.limit === undefined ? 0 : waitMs(this.tat, now, this.limit);
    const most = this.refused === 0 ? maxPending : MIN_ANSWERS + this.answers - this.refused;
    const pending = this.pending < most ? 0 : PENDING_SECONDS;
    return Math.max(Math.ceil(Math.max(slowed, own) / 1000), pending);
  }

  begin(now: number): void {
    this.pending++;
    if (this.limit !== undefined) this.tat = after(this.tat, now, this.limit);
    this.slowedTat = after(this.slowedTat, now, SLOWED_LIMIT);
  }

  /** As if it had not begun. */
  undo(): void {
    this.pending--;
    if (this.limit !== undefined) this.tat -= this.limit.periodMs;
    this.slowedTat -= SLOWED_LIMIT.periodMs;
  }

  end(word: 'accepted' | 'refused' | undefined, now: number): void {
    this.pending--;
    if (word === undefined) return;
    if (this.answers >= MAX_ANSWERS) {
      this.answers /= 2;
      this.refused /= 2;
    }
    this.answers++;
    if (word === 'refused') this.refused++;
    if (this.answers < MIN_ANSWERS || this.refused * 2 <= this.answers) return;
    this.stoppedUntil = now + STOP_MS;
    // One refusal stays: it begins carefully after its hour.
    this.answers = 1;
    this.refused = 1;
  }
}

export class FirstContacts {
  private readonly options: FirstContactsOptions;
  private readonly established: Share;
  private readonly newcomers: Share;
  private readonly poolLimit: Limit;
  private readonly maxPending: number;
  private readonly byTag = new Map<string, Source>();
  private readonly byBlock = new Map<string, Source>();

  constructor(options: FirstContactsOptions) {
    const { rate, clock } = options;
    this.options = options;
    this.established = new Share(rate / 2, clock.monotonic());
    this.newcomers = new Share(rate / 2, clock.monotonic());
    // A pool may use half of what newcomers have.
    this.poolLimit = { periodMs: 4_000 / rate, burst: Math.max(1, (rate * BURST_SECONDS) / 4) };
    this.maxPending = Math.max(MAX_PENDING, rate);
  }

  /** Subscribers and address blocks that are remembered. */
  get size(): number {
    return this.byTag.size + this.byBlock.size;
  }

  /** Seconds to wait; 0 = go. Changes nothing. */
  wait(asker: Asker): number {
    const now = this.options.clock.monotonic();
    const isEstablished = this.options.isEstablished(asker.tagText);
    const source = isEstablished ? this.byTag.get(asker.tagText) : this.byBlock.get(asker.block);
    const own = source?.wait(now, this.maxPending) ?? 0;
    return Math.max(own, this.share(isEstablished).wait(now));
  }

  /** Takes the place of one; the seconds to wait where there is none. */
  begin(asker: Asker): Contact | number {
    const wait = this.wait(asker);
    if (wait > 0) return wait;
    const { clock } = this.options;
    const isEstablished = this.options.isEstablished(asker.tagText);
    const source = isEstablished ? this.ofSubscriber(asker.tagText) : this.ofBlock(asker.block);
    const share = this.share(isEstablished);
    share.take();
    source.begin(clock.monotonic());
    return {
      answered: (word) => source.end(word, clock.monotonic()),
      unused: () => {
        share.add(1);
        source.undo();
      },
    };
  }

  /** Apple took a push to a proven device. */
  accepted(): void {
    const half = this.options.percent / 200;
    this.established.add(half);
    this.newcomers.add(half);
  }

  private share(isEstablished: boolean): Share {
    return isEstablished ? this.established : this.newcomers;
  }

  private ofSubscriber(tagText: string): Source {
    return latest(this.byTag, tagText, () => new Source(undefined, false));
  }

  private ofBlock(block: string): Source {
    const isCommon = isCommonBlock(block);
    return latest(this.byBlock, block, () => new Source(isCommon ? this.poolLimit : BLOCK_LIMIT, isCommon));
  }
}

/** The entry of a key, made where there is none, moved behind all others. */
function latest(sources: Map<string, Source>, key: string, make: () => Source): Source {
  const source = sources.get(key) ?? make();
  sources.delete(key);
  if (sources.size >= CAPACITY) sources.delete(sources.keys().next().value!);
  sources.set(key, source);
  return source;
}
