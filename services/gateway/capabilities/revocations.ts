/**
 * The revoked set (relay.md §6, "Revoked"): what Apple refused, a subscriber gave up or an owner ended, as keyed
 * hashes with times. A capability is refused by an entry of one of its three scopes that is not older than it; a
 * phone that registers again has a younger one. Asked for every push, so it answers from memory.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, utf8, wipe } from '../../../shared/encoding/bytes.js';
import { HASH_KEY_BYTES, KeyedHash } from '../../../shared/memory/keyed-hash.js';
import { PUBLIC_KEY_SIZE } from '../../../shared/relay/constants.js';
import { environmentCode, SUBSCRIBER_TAG_SIZE } from '../../../shared/relay/identity.js';
import { isNoOwner } from '../../../shared/relay/revocation.js';
import { MAX_TOKEN_SIZE } from '../../../shared/relay/sealed-token.js';
import { SLOT_SECONDS } from '../../../shared/relay/verification.js';
import { type Clock, seconds, type Timer } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { Secret } from '../../../shared/run/secret.js';
import type { CapabilityFields } from './capability.js';
import type { RevocationCause, revocationMetrics } from './metrics.js';
import {
  ENTRY_HASH_SIZE,
  ENTRY_LIFE_SECONDS,
  ENTRY_POOLS,
  type EntryPool,
  type RevocationEntry,
  type RevocationStore,
} from './revocation-store.js';
import { RevokedSet } from './revoked-set.js';

const LOOK_MS = 3_600_000;
/** Looks at the clock, a day of them, at all of which an entry must be over before it is dropped. */
const LOOKS = 24;
const LOOKUP_INFO = utf8('porchlight revocation lookup v1');
const EMPTY = new Uint8Array(0);
/** Scopes have one length, so that no token and scope read like another token and scope. */
const SCOPE_SIZE = PUBLIC_KEY_SIZE;
const EVERYONE = new Uint8Array(SCOPE_SIZE);
const PREFIX_SIZE = 9;

/** Which device of which app. */
export type Subject = Pick<CapabilityFields, 'appTag' | 'environment' | 'token'>;
type Judged = Subject &
  Pick<CapabilityFields, 'proven' | 'provenAt' | 'issued' | 'subscriberTag' | 'ownerKey'>;

export interface RevocationsOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof revocationMetrics>;
  /** 32 bytes, the same for all replicas. */
  readonly key: Secret;
  readonly store: RevocationStore;
  /** Entries kept of each pool. */
  readonly capacity: Readonly<Record<EntryPool, number>>;
}

export class Revocations {
  private readonly options: RevocationsOptions;
  private readonly sets: Readonly<Record<EntryPool, RevokedSet>>;
  private readonly lookupHash: KeyedHash;
  /** `environment ‖ appTag ‖ token` while it is hashed. */
  private readonly scratch = new Uint8Array(PREFIX_SIZE + MAX_TOKEN_SIZE);
  private timer: Timer;
  /** What was over at each of the last looks: Unix seconds. */
  private wasOver = 0;
  private looks = 0;

  constructor(options: RevocationsOptions) {
    const { crypto, key, capacity, clock } = options;
    this.options = options;
    this.sets = { proven: new RevokedSet(capacity.proven), owner: new RevokedSet(capacity.owner) };
    const lookupKey = crypto.hkdfSha256(EMPTY, key.bytes, LOOKUP_INFO, HASH_KEY_BYTES);
    this.lookupHash = new KeyedHash(lookupKey);
    wipe(lookupKey);
    this.timer = clock.after(LOOK_MS, () => this.look());
  }

  /** Resolves when what others revoked before has been read, or could not be. */
  start(): Promise<void> {
    return this.options.store.start((entries) => this.learn(entries));
  }

  /** While false, renewals stop: others may have revoked what would be renewed. */
  get readable(): boolean {
    return this.options.store.readable;
  }

  measure(): void {
    const { revocations, revocations_readable } = this.options.metrics;
    for (const pool of ENTRY_POOLS) revocations.set({ pool }, this.sets[pool].size);
    revocations_readable.set(this.readable ? 1 : 0);
  }

  async close(): Promise<void> {
    this.timer.cancel();
    await this.options.store.close();
    this.options.key.wipe();
  }

  /**
   * Whether an entry ends this capability. One cheap hash where its device has no entry that could.
   * @param answered start of the slot (Unix seconds) in which the phone answered for it: then what everybody lost
   * until then is no reason, for it may be this very proof, asked for again
   */
  isRevoked(capability: Judged, answered = 0): boolean {
    const { proven, owner } = this.sets;
    const { issued } = capability;
    // Ended at a time if issued at or before it, or if its proof's slot was over by then: the earlier of the two.
    const since = capability.proven ? Math.min(issued, slotEnd(capability.provenAt)) : issued;
    if (proven.newest >= since) {
      const lookup = this.lookup(capability);
      if (proven.mayHave(lookup, since)) {
        const from = Math.max(since, answered + 1);
        if (proven.has(lookup, this.hash(capability, EVERYONE), from)) return true;
        if (proven.has(lookup, this.hash(capability, scopeOf(capability.subscriberTag)), since)) return true;
      }
    }
    if (owner.newest < since || isNoOwner(capability.ownerKey)) return false;
    const hash = this.hash(capability, capability.ownerKey);
    return owner.has(firstWord(hash), hash, since);
  }

  /** Apple refused a proven device. `time`: Apple's, else that of the push. It counts at once, saved or not. */
  refusedByApple(device: Subject, time: number): void {
    this.end('apple', this.proven(device, EVERYONE, Math.min(time, seconds(this.options.clock))));
  }

  /**
   * A proof of this slot ends what was proved, by whichever subscriber, in slots before it: for apps whose phones have
   * one subscriber at a time. The capability that comes of it is issued after that time, and its slot ends after it.
   */
  supersede(device: Subject, slotStart: number): void {
    this.end(
      'superseded',
      this.proven(device, EVERYONE, Math.min(slotStart, seconds(this.options.clock) - 1)),
    );
  }

  /** The subscriber gives a capability up, and what it has of the device beside it. Rejects where that can't be saved. */
  endAtSubscriber(capability: Judged): Promise<void> {
    // Entries can't be had for made-up tokens. What is unproven lives three days and wakes nobody.
    if (!capability.proven) return Promise.resolve();
    const time = givenUpAt(capability, seconds(this.options.clock));
    return this.save('subscriber', this.proven(capability, scopeOf(capability.subscriberTag), time));
  }

  /** The owner ended all that was issued at or before `time`, or proved in a slot before it. Rejects as above. */
  endByOwner(owned: Subject & { readonly ownerKey: Uint8Array }, time: number): Promise<void> {
    const hash = this.hash(owned, owned.ownerKey);
    const at = Math.min(time, seconds(this.options.clock));
    return this.save('owner', { pool: 'owner', time: at, lookup: firstWord(hash), hash });
  }

  private proven(device: Subject, scope: Uint8Array, time: number): RevocationEntry {
    return { pool: 'proven', time, lookup: this.lookup(device), hash: this.hash(device, scope) };
  }

  private isKnown({ pool, lookup, hash, time }: RevocationEntry): boolean {
    return this.sets[pool].has(lookup, hash, time);
  }

  /** In force at once; saved if that works. */
  private end(cause: RevocationCause, entry: RevocationEntry): void {
    if (this.isKnown(entry)) return;
    this.learn([entry]);
    this.options.metrics.revocations_total.inc({ cause });
    this.options.store.append([entry]).catch(() => this.unsaved());
  }

  /** Saved, then in force: whoever asked may ask again. */
  private async save(cause: RevocationCause, entry: RevocationEntry): Promise<void> {
    if (this.isKnown(entry)) return;
    try {
      await this.options.store.append([entry]);
    } catch (error) {
      this.unsaved();
      throw error;
    }
    this.learn([entry]);
    this.options.metrics.revocations_total.inc({ cause });
  }

  private unsaved(): void {
    this.options.metrics.revocations_unsaved_total.inc();
    this.options.log.error('revocation cannot be saved');
  }

  /** What seems to be over is taken while there is room, for the clock may have jumped; `look` drops it. */
  private learn(entries: readonly RevocationEntry[]): void {
    const { capacity, metrics } = this.options;
    const over = this.over();
    for (const entry of entries) {
      const set = this.sets[entry.pool];
      if (entry.time <= over && set.size >= capacity[entry.pool]) continue;
      if (set.add(entry)) metrics.revocations_dropped_total.inc({ pool: entry.pool });
    }
  }

  private over(): number {
    return seconds(this.options.clock) - ENTRY_LIFE_SECONDS;
  }

  /**
   * Drops what was over for a day, by a clock that does not jump: a store tells an entry only once, and one that is
   * kept for longer costs nothing.
   */
  private look(): void {
    const over = this.over();
    this.wasOver = this.looks === 0 ? over : Math.min(over, this.wasOver);
    if (this.looks === LOOKS) for (const pool of ENTRY_POOLS) this.sets[pool].expire(this.wasOver);
    this.looks = this.looks === LOOKS ? 0 : this.looks + 1;
    this.timer = this.options.clock.after(LOOK_MS, () => this.look());
  }

  private lookup({ environment, appTag, token }: Subject): number {
    const { scratch } = this;
    scratch[0] = environmentCode(environment);
    scratch.set(appTag, 1);
    scratch.set(token, PREFIX_SIZE);
    const used = scratch.subarray(0, PREFIX_SIZE + token.length);
    const hash = this.lookupHash.of(used);
    wipe(used);
    return hash;
  }

  /** HMAC(revocation key, appTag ‖ environment ‖ token ‖ scope)[0..20]. */
  private hash({ appTag, environment, token }: Subject, scope: Uint8Array): Uint8Array {
    const { crypto, key } = this.options;
    const code = Uint8Array.of(environmentCode(environment));
    return crypto.hmacSha256(key.bytes, appTag, code, token, scope).subarray(0, ENTRY_HASH_SIZE);
  }
}

/**
 * Up to when a capability's own subscriber ends what it has of the device. That is told by the capability, never by
 * the clock: a revocation may arrive after the phone's next registration, and must not end that too. Five minutes
 * after its proof's slot, it also ends whatever else was renewed from that proof: a revocation that still travels
 * then is dropped by its sender.
 */
function givenUpAt({ issued, provenAt }: Judged, now: number): number {
  const end = slotEnd(provenAt);
  return now >= end + SLOT_SECONDS ? Math.max(issued, end) : issued;
}

const slotEnd = (slotStart: number): number => slotStart + SLOT_SECONDS;

/** A subscriber's tag as a scope. */
function scopeOf(subscriberTag: Bytes): Uint8Array {
  const scope = new Uint8Array(SCOPE_SIZE);
  scope.set(subscriberTag.subarray(0, SUBSCRIBER_TAG_SIZE));
  return scope;
}

const firstWord = (hash: Bytes): number => new DataView(hash.buffer, hash.byteOffset).getUint32(0);
