/**
 * The revoked set where gateways share a Redis: each keeps it in its state folder, as one gateway does, and tells the
 * others through Redis, so that it outlives a Redis without a disk and reaches gateways whose folder is a copy. Redis
 * holds one sorted set of the entries' 32 bytes, which are hashes and times, by when they came.
 */
import { fromBase64url, toBase64url } from '../../../shared/encoding/base64url.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import {
  decodeEntry,
  ENTRY_LIFE_SECONDS,
  encodeEntry,
  type LearnEntries,
  type RevocationEntry,
  type RevocationStore,
} from '../capabilities/revocation-store.js';
import type { Dated } from './client.js';
import type { RedisLink } from './link.js';

/** How soon a gateway knows what another revoked. */
const POLL_MS = 2_000;
/** Entries of one command. */
const PAGE = 500;
/** The oldest beyond this many are dropped from Redis; the folders keep theirs. */
const MAX_ENTRIES = 2_000_000;
/** Read again each time, for entries that came in another order than their times say. */
const OVERLAP_MS = 10_000;
/** Times in Redis are whole microseconds, so that entries of one moment keep apart. */
const PER_MS = 1_000;
/** Filling takes no more than this part of the time, however often Redis comes and goes: reading the folder blocks. */
const FILLING_PART = 1 / 20;

export interface RedisRevocationsOptions {
  readonly clock: Clock;
  readonly link: RedisLink;
  readonly prefix: string;
  /** This gateway's own. */
  readonly folder: RevocationStore;
  /** All that the folder holds, to fill a Redis that was started again. */
  readonly all: () => Promise<readonly RevocationEntry[]>;
}

export class RedisRevocations implements RevocationStore {
  private readonly options: RedisRevocationsOptions;
  private readonly key: string;
  private learn: LearnEntries = () => {};
  private isCurrent = false;
  private filled = 0;
  /** Not to be filled before, monotonic ms. */
  private fillAfter = 0;
  /** Up to where the set was read, ms of Redis' clock. */
  private readTo = 0;
  private timer: Timer | undefined;
  private isClosed = false;

  constructor(options: RedisRevocationsOptions) {
    this.options = options;
    this.key = `${options.prefix}revoked`;
  }

  get readable(): boolean {
    return this.isCurrent && this.options.folder.readable;
  }

  async start(learn: LearnEntries): Promise<void> {
    this.learn = learn;
    await this.options.folder.start(learn);
    await this.poll();
  }

  /** What Redis does not take now it gets when it is filled again. */
  async append(entries: readonly RevocationEntry[]): Promise<void> {
    await this.options.folder.append(entries);
    await this.tell(entries);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.timer?.cancel();
    await this.options.folder.close();
  }

  private async poll(): Promise<void> {
    this.isCurrent = await this.fillAndRead();
    if (!this.isClosed) this.timer = this.options.clock.after(POLL_MS, () => void this.poll());
  }

  private async fillAndRead(): Promise<boolean> {
    const { link } = this.options;
    const { times } = link;
    if (!link.isUp) return false;
    // It was away: what it holds may be less than before.
    if (times !== this.filled && !(await this.fill())) return false;
    this.filled = times;
    return this.read();
  }

  private async fill(): Promise<boolean> {
    const { clock, all } = this.options;
    const begun = clock.monotonic();
    if (begun < this.fillAfter) return false;
    this.readTo = 0;
    const entries = await all().catch(() => undefined);
    const isFilled = entries !== undefined && (await this.tell(entries));
    const now = clock.monotonic();
    this.fillAfter = now + (now - begun) / FILLING_PART;
    return isFilled;
  }

  private async tell(entries: readonly RevocationEntry[]): Promise<boolean> {
    const { link } = this.options;
    for (let at = 0; at < entries.length; at += PAGE) {
      const now = Math.floor(link.now) * PER_MS;
      const page: Dated[] = entries
        .slice(at, at + PAGE)
        .map((entry, i) => [now + i, toBase64url(encodeEntry(entry))]);
      const bounds = { since: now - ENTRY_LIFE_SECONDS * 1000 * PER_MS, most: MAX_ENTRIES };
      const done = await link.ask('revocations', (client) =>
        client.add(this.key, page, { ...bounds, seconds: ENTRY_LIFE_SECONDS }),
      );
      if (done === undefined) return false;
    }
    return true;
  }

  private async read(): Promise<boolean> {
    const { link } = this.options;
    const from = Math.max(0, this.readTo - OVERLAP_MS) * PER_MS;
    const until = Math.floor(link.now);
    for (let at = 0; ; at += PAGE) {
      const page = await link.ask('revocations', (client) => client.since(this.key, from, at, PAGE));
      if (page === undefined) return false;
      this.learn(page.flatMap(entryOf));
      if (page.length < PAGE) break;
    }
    this.readTo = until;
    return true;
  }
}

/** Nothing where it is none of ours. */
function entryOf(text: string): RevocationEntry[] {
  const bytes = fromBase64url(text);
  if (bytes === undefined) return [];
  try {
    return [decodeEntry(bytes)];
  } catch (error) {
    if (error instanceof DecodeError) return [];
    throw error;
  }
}
