/**
 * Where the revoked set (relay.md §6) outlives a process and is shared by replicas: the state folder, or Redis. A
 * store knows entries as hashes and times only; what they mean, and the set that is asked for every push, is in
 * `revocations.ts`. An entry has one form of 32 bytes wherever it is kept.
 */
import { type Bytes, concat } from '../../../shared/encoding/bytes.js';
import { DecodeError, decodeAll } from '../../../shared/encoding/reader.js';
import { Writer } from '../../../shared/encoding/writer.js';

export const ENTRY_SIZE = 32;
export const ENTRY_HASH_SIZE = 20;
/** From when it was stored; all that an entry ends is over by then (relay.md §4: 45 days, and a day of clocks). */
export const ENTRY_LIFE_SECONDS = 46 * 24 * 3600;

/**
 * `proven` entries could be made only with a proven device; those of owner keys by anyone with a key of their own.
 * They are bounded apart, so that the latter never push out the former.
 */
export const ENTRY_POOLS = ['proven', 'owner'] as const;
export type EntryPool = (typeof ENTRY_POOLS)[number];

export interface RevocationEntry {
  readonly pool: EntryPool;
  /** Unix seconds up to which capabilities of this scope are ended. */
  readonly time: number;
  /** Keyed hash under which it is looked up (u32): of the device in pool `proven`, of the whole entry in `owner`. */
  readonly lookup: number;
  /** HMAC(revocation key, appTag ‖ environment ‖ token ‖ scope)[0..20]: names the entry; of two the later time counts. */
  readonly hash: Uint8Array;
}

/** Gets what is stored, its own entries too, in any order and perhaps more than once. */
export type LearnEntries = (entries: readonly RevocationEntry[]) => void;

export interface RevocationStore {
  /**
   * False while entries can't be read: then renewals stop, for others may have revoked what is renewed, and pushes
   * go on. Turns true again by itself.
   */
  readonly readable: boolean;
  /**
   * Reads everything once, then tells what is added, by whichever replica, within a few seconds. Resolves when the
   * first reading has ended, well or not (`readable` says), and is called once. Never rejects.
   */
  start(learn: LearnEntries): Promise<void>;
  /** Keeps entries for `ENTRY_LIFE_SECONDS`. Resolves when they would survive a restart; rejects where they would not. */
  append(entries: readonly RevocationEntry[]): Promise<void>;
  close(): Promise<void>;
}

/** `pool u8 · zeros[3] · time u32 · lookup u32 · hash[20]`. */
export function encodeEntry({ pool, time, lookup, hash }: RevocationEntry): Uint8Array {
  if (hash.length !== ENTRY_HASH_SIZE) throw new RangeError('hash size');
  const out = new Writer(ENTRY_SIZE).u8(ENTRY_POOLS.indexOf(pool)).zeros(3);
  return out.u32(time).u32(lookup).bytes(hash).done();
}

/** The hash is a copy. Throws `DecodeError`. */
export function decodeEntry(bytes: Bytes): RevocationEntry {
  return decodeAll(bytes, (reader) => {
    const pool = ENTRY_POOLS[reader.u8()];
    if (pool === undefined || reader.take(3).some((byte) => byte !== 0)) throw new DecodeError('entry');
    const time = reader.u32();
    const lookup = reader.u32();
    return { pool, time, lookup, hash: concat(reader.take(ENTRY_HASH_SIZE)) };
  });
}
