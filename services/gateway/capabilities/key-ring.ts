/**
 * The keys of one folder in memory, looked up by id. Follows the folder: a key that another replica made is found
 * when it is first named or all are asked for, one that was taken away is forgotten within a minute, one past its
 * days is destroyed.
 */
import { type Bytes, latin1 } from '../../../shared/encoding/bytes.js';
import { type Clock, seconds, type Timer } from '../../../shared/run/clock.js';
import { SecretFileError } from '../../../shared/run/files.js';
import type { Log } from '../../../shared/run/log.js';
import { type DatedKey, type KeyFolder, keyName } from './key-folder.js';

const SWEEP_MS = 60_000;
/** A key is destroyed only when it has been past its days for this long, in case the clock jumped. */
const DESTROY_AFTER_MS = 3_600_000;

export interface KeyRingOptions<K> {
  readonly clock: Clock;
  readonly log: Log;
  readonly folder: KeyFolder;
  /** What is kept of a key, for example the keys derived from it. */
  readonly load: (key: DatedKey) => K;
  /** Overwrites what `load` made. */
  readonly drop: (key: K) => void;
}

interface Held<K> {
  readonly name: string;
  readonly notAfter: number;
  readonly key: K;
  /** Monotonic time at which it was first seen past its days. */
  overSince: number | undefined;
}

export class KeyRing<K> {
  private readonly options: KeyRingOptions<K>;
  private readonly held = new Map<string, Held<K>>();
  /** Files that were complained about. */
  private readonly unreadable = new Set<string>();
  private timer: Timer | undefined;

  /** Throws `SecretFileError` where others may read a key, or it can't be read: what it sealed would be lost unseen. */
  constructor(options: KeyRingOptions<K>) {
    this.options = options;
    this.scan(true);
    this.schedule();
  }

  /** The key of this id while its days last. */
  find(keyId: Bytes): K | undefined {
    const id = latin1(keyId);
    const held = this.held.get(id) ?? this.another(id, keyName(keyId));
    return held !== undefined && seconds(this.options.clock) < held.notAfter ? held.key : undefined;
  }

  /** All keys whose days last. */
  all(): K[] {
    const now = seconds(this.options.clock);
    return [...this.held.values()].filter((held) => now < held.notAfter).map((held) => held.key);
  }

  /** The same, with those that other replicas have made in this moment. */
  allNow(): K[] {
    try {
      this.scan();
    } catch {
      // the sweep says so
    }
    return this.all();
  }

  /** Writes a new key to the folder and keeps it. Throws where the folder can't be written. */
  add(key: DatedKey): K {
    this.options.folder.write(key);
    return this.hold(key).key;
  }

  close(): void {
    this.timer?.cancel();
    for (const held of this.held.values()) this.options.drop(held.key);
    this.held.clear();
  }

  private schedule(): void {
    this.timer = this.options.clock.after(SWEEP_MS, () => {
      this.sweep();
      this.schedule();
    });
  }

  /** A key that another replica may have made. Ids may be made up: for one, no more than one file is looked for. */
  private another(id: string, name: string): Held<K> | undefined {
    if (this.options.folder.has(name)) this.readNew(name);
    return this.held.get(id);
  }

  private sweep(): void {
    try {
      this.scan();
      for (const [id, held] of this.held) if (this.isOver(held)) this.destroy(id, held);
    } catch {
      this.options.log.error('key folder cannot be used', { file: this.options.folder.path });
    }
  }

  /** Reads new files and forgets keys whose file is gone. */
  private scan(isStart = false): void {
    const names = new Set(this.options.folder.names());
    for (const [id, held] of this.held) {
      if (names.delete(held.name)) continue;
      this.held.delete(id);
      this.options.drop(held.key);
    }
    for (const name of names) this.readNew(name, isStart);
  }

  private readNew(name: string, isStart = false): void {
    try {
      const key = this.options.folder.read(name);
      if (keyName(key.keyId) !== name) throw new Error('misnamed');
      this.hold(key);
      this.unreadable.delete(name);
    } catch (error) {
      if (isStart && error instanceof SecretFileError && this.options.folder.has(name)) throw error;
      // Tried again with each look at the folder: perhaps only descriptors were short.
      if (this.unreadable.has(name)) return;
      this.unreadable.add(name);
      this.options.log.error('key file cannot be used', { file: this.options.folder.path, name });
    }
  }

  private hold(key: DatedKey): Held<K> {
    const { notAfter, keyId } = key;
    const held = { name: keyName(keyId), notAfter, key: this.options.load(key), overSince: undefined };
    this.held.set(latin1(keyId), held);
    return held;
  }

  private isOver(held: Held<K>): boolean {
    const { clock } = this.options;
    if (seconds(clock) < held.notAfter) held.overSince = undefined;
    else held.overSince ??= clock.monotonic();
    return held.overSince !== undefined && clock.monotonic() - held.overSince >= DESTROY_AFTER_MS;
  }

  private destroy(id: string, held: Held<K>): void {
    this.options.folder.destroy(held.name);
    this.held.delete(id);
    this.options.drop(held.key);
    this.options.log.info('key destroyed, its days are over', { name: held.name });
  }
}
