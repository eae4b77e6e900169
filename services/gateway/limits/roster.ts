/**
 * The operator's list: who may ask in mode `listed`, and in both modes who has another allowance than everybody, or
 * none. The configuration names keys; the file `subscribers.json` in the state folder is what an operator changed
 * while the gateway ran. Replicas share that folder, so the file is looked at again when it has changed. Keys of
 * subscribers are known to the operator, and still stand in no log.
 */
import { statSync } from 'node:fs';
import { z } from 'zod';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { fromBase64url } from '../../../shared/encoding/base64url.js';
import { fromUtf8, latin1 } from '../../../shared/encoding/bytes.js';
import { PUBLIC_KEY_SIZE } from '../../../shared/relay/constants.js';
import { subscriberTag } from '../../../shared/relay/identity.js';
import type { Clock } from '../../../shared/run/clock.js';
import { readSecretFile, SecretFileError, writeSecretFile } from '../../../shared/run/files.js';
import type { Log } from '../../../shared/run/log.js';
import { withFileLock } from './file-lock.js';

/** How often the file is looked at while requests come. */
const LOOK_MS = 1_000;
/** Entries of the file; the configuration may name as many. */
const MAX_ENTRIES = 10_000;
const MAX_RATE = 1_000_000;
const MAX_REQUESTS = 10_000;

/** base64url of a raw Ed25519 public key. */
export const subscriberKeyField = z
  .string()
  .refine(
    (text) => fromBase64url(text)?.length === PUBLIC_KEY_SIZE,
    'expected the base64url of a 32-byte Ed25519 public key',
  );

/** What an operator may say of a subscriber. Nothing said = as everybody else. */
export const subscriberLimits = z.strictObject({
  /** The operator's own word for it. */
  name: z
    .string()
    .regex(/^[\w .@-]{1,64}$/, 'expected 1 to 64 letters, digits, spaces and ._@-')
    .optional(),
  /** Frames a second, whatever devices it has; 0 = it may not ask at all. */
  rate: z.int().min(0).max(MAX_RATE).optional(),
  /** Requests running at once. */
  requests: z.int().min(1).max(MAX_REQUESTS).optional(),
});
export type SubscriberLimits = z.output<typeof subscriberLimits>;

const entrySchema = subscriberLimits.extend({ key: subscriberKeyField });
const fileSchema = z.strictObject({
  version: z.literal(1),
  subscribers: z.array(entrySchema).max(MAX_ENTRIES),
});

/** One subscriber of the list. */
export interface RosterEntry extends SubscriberLimits {
  readonly key: string;
  /** One character a byte. */
  readonly tagText: string;
  /** Whether the configuration names it. */
  readonly isConfigured: boolean;
}

/** A change that can't be made, in words for the operator. Names the file, never a key. */
export class RosterError extends Error {
  override readonly name = 'RosterError';
}

export interface RosterOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly mode: 'open' | 'listed';
  /** Of the configuration. */
  readonly keys: readonly string[];
  readonly file: string;
}

type FileEntry = z.output<typeof entrySchema>;

export class Roster {
  private readonly options: RosterOptions;
  /** By tag. */
  private entries: ReadonlyMap<string, RosterEntry> = new Map();
  private changed = '';
  private lookedAt: number;

  /** Throws `SecretFileError` where the file is there and can't be used. */
  constructor(options: RosterOptions) {
    this.options = options;
    this.lookedAt = options.clock.monotonic();
    this.changed = this.fileState();
    this.take(this.read());
  }

  /** Everybody on the list, the configuration's first. */
  get all(): RosterEntry[] {
    this.look();
    return [...this.entries.values()];
  }

  get mode(): 'open' | 'listed' {
    return this.options.mode;
  }

  /** What the operator said of a subscriber. */
  find(tagText: string): RosterEntry | undefined {
    this.look();
    return this.entries.get(tagText);
  }

  /** Whether a subscriber may ask at all. */
  admits(tagText: string): boolean {
    const entry = this.find(tagText);
    return entry === undefined ? this.options.mode === 'open' : entry.rate !== 0;
  }

  /** Adds a subscriber, or says something else of it. Throws `RosterError`. */
  put(key: string, limits: SubscriberLimits): RosterEntry {
    return this.alone(() => {
      const kept = this.listed().filter((entry) => entry.key !== key);
      if (kept.length >= MAX_ENTRIES) throw new RosterError(`the list has ${MAX_ENTRIES} entries already`);
      this.write([...kept, { ...limits, key }]);
      return this.entries.get(this.tagOf(key))!;
    });
  }

  /**
   * Takes a subscriber off the list; one that the configuration names stays there with no allowance. False where
   * it was not on it.
   */
  remove(key: string): boolean {
    return this.alone(() => {
      const listed = this.listed();
      this.take(listed);
      const before = this.entries.get(this.tagOf(key));
      if (before === undefined) return false;
      const kept = listed.filter((entry) => entry.key !== key);
      this.write(before.isConfigured ? [...kept, { key, rate: 0 }] : kept);
      return true;
    });
  }

  tagOf(key: string): string {
    return latin1(subscriberTag(this.options.crypto, fromBase64url(key)!));
  }

  /** Another process may have written the file. */
  private look(): void {
    const now = this.options.clock.monotonic();
    if (now - this.lookedAt < LOOK_MS) return;
    this.lookedAt = now;
    try {
      const state = this.fileState();
      if (state === this.changed) return;
      this.changed = state;
      this.take(this.read());
    } catch {
      this.options.log.error('list of subscribers cannot be read, the last one stays in use');
    }
  }

  /** Changes whenever the file is replaced. */
  private fileState(): string {
    const stat = statSync(this.options.file, { throwIfNoEntry: false });
    return stat === undefined ? '' : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
  }

  private read(): FileEntry[] {
    const { file } = this.options;
    if (this.fileState() === '') return [];
    const result = fileSchema.safeParse(jsonOf(readSecretFile(file)));
    if (!result.success) throw new SecretFileError(`${file}: not a list of subscribers`);
    return result.data.subscribers;
  }

  /** Reads and writes the file while no other process does: of two changes at once none is lost. */
  private alone<T>(change: () => T): T {
    const { file, clock } = this.options;
    try {
      return withFileLock(`${file}.lock`, clock, change);
    } catch (error) {
      if (error instanceof RosterError) throw error;
      throw unusable(file, 'locked', error);
    }
  }

  /** What the file says now. A list that a hand has spoilt is not written over. */
  private listed(): FileEntry[] {
    try {
      return this.read();
    } catch (error) {
      if (error instanceof SecretFileError) throw new RosterError(error.message);
      throw unusable(this.options.file, 'read', error);
    }
  }

  private write(entries: readonly FileEntry[]): void {
    const { file } = this.options;
    const content = { version: 1, subscribers: entries };
    try {
      writeSecretFile(file, `${JSON.stringify(content, undefined, 2)}\n`);
    } catch (error) {
      throw unusable(file, 'written', error);
    }
    this.changed = this.fileState();
    this.take(entries);
  }

  private take(added: readonly FileEntry[]): void {
    const configured = new Set(this.options.keys);
    const entries = new Map<string, RosterEntry>();
    for (const entry of [...this.options.keys.map((key) => ({ key })), ...added]) {
      const tagText = this.tagOf(entry.key);
      entries.set(tagText, { ...entry, tagText, isConfigured: configured.has(entry.key) });
    }
    this.entries = entries;
  }
}

const unusable = (file: string, done: 'read' | 'written' | 'locked', error: unknown): RosterError =>
  new RosterError(`${file}: cannot be ${done} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);

/** Undefined where it is no JSON; the schema says the rest. */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes));
  } catch {
    return undefined;
  }
}
