/**
 * The revoked set where gateways share a Redis: each keeps it in its state folder, as one gateway does, and tells the
 * others through Redis, so that it outlives a Redis without a disk and reaches gateways whose folder is a copy. Redis
 * holds one sorted set of the entries' 32 bytes, which are hashes and times, by when they came.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
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

const NAME_BYTES = 12;

export interface RedisRevocationsOptions {
  readonly crypto: Crypto;
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
  /** Of the name of what Redis holds; in a cluster it lies beside the set, and is lost with it. */
  private readonly nameKey: string;
  private learn: LearnEntries = () => {};
  private isCurrent = false;
  /** Which Redis was filled: how often the link had found one, and the name there. */
  private filled = '';
  /** Not to be filled before, monotonic ms. */
  private fillAfter = 0;
  /** Up to where the set was read, ms of Redis' clock. */
  private readTo = 0;
  private timer: Timer | undefined;
  private isClosed = false;

  constructor(options: RedisRevocationsOptions) {
    this.options = options;
    this.key = `${options.prefix}revoked`;
    this.nameKey = `${options.prefix}filled{${this.key}}`;
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
    const name = await this.name();
    if (name === undefined) return false;
    // It was away or was emptied: what it holds may be less than before.
    const found = `${times} ${name}`;
    if (found !== this.filled && !(await this.fill())) return false;
    this.filled = found;
    return this.read();
  }

  /**
   * The name of what Redis holds, given by whichever gateway finds none. Another one than before tells that it was
   * emptied in between, and every gateway fills it: what each has in its folder may differ.
   */
  private name(): Promise<string | undefined> {
    const { link, crypto } = this.options;
    return link.ask('revocations', async (client) => {
      const given = async () => (await client.read([this.nameKey]))[0] ?? undefined;
      const known = await given();
      if (known !== undefined) return known;
      const name = toBase64url(crypto.randomBytes(NAME_BYTES));
      return (await client.claim(this.nameKey, ENTRY_LIFE_SECONDS, name)) ? name : given();
    });
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
    const until = Math.floor(link.now);
    let from: Place = { time: Math.max(0, this.readTo - OVERLAP_MS) * PER_MS, skip: 0 };
    for (;;) {
      const { time, skip } = from;
      const page = await link.ask('revocations', (client) => client.since(this.key, time, skip, PAGE));
      if (page === undefined) return false;
      this.learn(page.flatMap(([, member]) => entryOf(member)));
      if (page.length < PAGE) break;
      from = behind(page, from);
    }
    this.readTo = until;
    return true;
  }
}

/** Where a page begins: a time, and how many members of that time were on pages before. */
interface Place {
  readonly time: number;
  readonly skip: number;
}

/** By time, for Redis counts through all that is skipped. */
function behind(page: readonly Dated[], { time, skip }: Place): Place {
  const last = page.at(-1)![0];
  const same = page.filter(([each]) => each === last).length;
  return { time: last, skip: last === time ? skip + same : same };
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
