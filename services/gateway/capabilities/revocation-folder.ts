/**
 * The revoked set in the state folder: one file a day, 0600, to which all replicas append and which is unlinked when
 * its entries are over, so that nothing is ever rewritten. Each record carries a checksum, and whatever a killed
 * process or a full disk left in the middle of a file costs no other record.
 */
import {
  closeSync,
  fdatasync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, concat, sameBytes } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { type Clock, seconds, type Timer } from '../../../shared/run/clock.js';
import { secretFolder } from '../../../shared/run/files.js';
import type { Log } from '../../../shared/run/log.js';
import {
  decodeEntry,
  ENTRY_LIFE_SECONDS,
  ENTRY_SIZE,
  encodeEntry,
  type LearnEntries,
  type RevocationEntry,
  type RevocationStore,
} from './revocation-store.js';

/** How soon a replica knows what another one wrote. */
const POLL_MS = 2_000;
/** A file is unlinked only when its entries have been over for this long, a day, in case the clock is ahead. */
const UNLINK_AFTER_MS = 24 * 3_600_000;
const CHECKSUM_SIZE = 4;
const RECORD_SIZE = ENTRY_SIZE + CHECKSUM_SIZE;
const DAY_SECONDS = 24 * 3600;
const NAME = /^(\d{1,6})\.log$/;
/** Bytes read at once. */
const READ_SIZE = 1024 * 1024;
/** Of one day; more are refused, and what is beyond is not read. */
const MAX_FILE_SIZE = 64 * 1024 * 1024;
/** Entries that wait to be written. */
const MAX_WAITING = 20_000;

const sync = promisify(fdatasync);

interface DayFile {
  /** Up to where it was read. */
  offset: number;
  /** Monotonic time at which its entries were first seen to be over. */
  overSince: number | undefined;
}

interface Waiting {
  readonly record: Uint8Array;
  readonly settle: (error?: unknown) => void;
}

export interface RevocationFolderOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly path: string;
}

export class RevocationFolder implements RevocationStore {
  private readonly options: RevocationFolderOptions;
  private readonly files = new Map<string, DayFile>();
  private waiting: Waiting[] = [];
  private writing: Promise<void> | undefined;
  private isReadable = false;
  private learn: LearnEntries = () => {};
  private timer: Timer | undefined;

  /** Makes the folder. Throws `SecretFileError` where others may look into it. */
  constructor(options: RevocationFolderOptions) {
    this.options = options;
    secretFolder(options.path);
  }

  get readable(): boolean {
    return this.isReadable;
  }

  async start(learn: LearnEntries): Promise<void> {
    this.learn = learn;
    this.isReadable = true;
    this.poll();
  }

  async append(entries: readonly RevocationEntry[]): Promise<void> {
    if (this.waiting.length + entries.length > MAX_WAITING) throw new Error('too many wait');
    const written = entries.map(
      (entry) =>
        new Promise<void>((resolve, reject) => {
          const settle = (error?: unknown) => (error === undefined ? resolve() : reject(error));
          this.waiting.push({ record: this.record(entry), settle });
        }),
    );
    this.writing ??= this.write();
    await Promise.all(written);
  }

  /** Resolves when what waited has been written, or could not be. */
  async close(): Promise<void> {
    this.timer?.cancel();
    this.learn = () => {};
    await this.writing;
  }

  /** Writes what waits, one file access for all that came while the last one was under way. */
  private async write(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting;
      this.waiting = [];
      const error = await this.appendRecords(concat(...batch.map(({ record }) => record))).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      for (const { settle } of batch) settle(error);
    }
    this.writing = undefined;
  }

  /** One `write` with O_APPEND: the records of several replicas never mix. */
  private async appendRecords(records: Uint8Array): Promise<void> {
    const today = Math.floor(seconds(this.options.clock) / DAY_SECONDS);
    const fd = openSync(join(this.options.path, `${today}.log`), 'a', 0o600);
    try {
      if (fstatSync(fd).size + records.length > MAX_FILE_SIZE) throw new Error('day full');
      if (writeSync(fd, records) < records.length) throw new Error('written in part');
      await sync(fd);
    } finally {
      closeSync(fd);
    }
  }

  private poll(): void {
    let isReadable = true;
    try {
      this.readAll();
    } catch {
      isReadable = false;
    }
    const { log, path } = this.options;
    if (isReadable !== this.isReadable) {
      if (isReadable) log.info('revocations can be read again', { file: path });
      else log.error('revocations cannot be read: renewals stop, pushes go on', { file: path });
    }
    this.isReadable = isReadable;
    this.timer = this.options.clock.after(POLL_MS, () => this.poll());
  }

  private readAll(): void {
    const names = readdirSync(this.options.path).filter((name) => NAME.test(name));
    const present = new Set(names);
    for (const name of this.files.keys()) if (!present.has(name)) this.files.delete(name);
    for (const name of names) {
      const file = this.files.get(name) ?? { offset: 0, overSince: undefined };
      this.files.set(name, file);
      if (this.isOver(name, file)) this.unlink(name);
      else this.read(name, file);
    }
  }

  /** Reads what was added to a file since. */
  private read(name: string, file: DayFile): void {
    let fd: number;
    try {
      fd = openSync(join(this.options.path, name), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return; // another replica unlinked it
      throw error;
    }
    try {
      const size = Math.min(fstatSync(fd).size, MAX_FILE_SIZE);
      if (size < file.offset) file.offset = 0;
      while (size - file.offset >= RECORD_SIZE) {
        const buffer = new Uint8Array(Math.min(READ_SIZE, size - file.offset));
        const read = readSync(fd, buffer, 0, buffer.length, file.offset);
        if (read < RECORD_SIZE) return;
        file.offset += this.take(buffer.subarray(0, read));
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Hands on the records that are whole; after damage goes on from byte to byte. @returns how many bytes are done with */
  private take(bytes: Bytes): number {
    const entries: RevocationEntry[] = [];
    let at = 0;
    while (bytes.length - at >= RECORD_SIZE) {
      const entry = this.entry(bytes.subarray(at, at + RECORD_SIZE));
      if (entry !== undefined) entries.push(entry);
      at += entry === undefined ? 1 : RECORD_SIZE;
    }
    if (entries.length > 0) this.learn(entries);
    return at;
  }

  private record(entry: RevocationEntry): Uint8Array {
    const bytes = encodeEntry(entry);
    return concat(bytes, this.checksum(bytes));
  }

  private entry(record: Bytes): RevocationEntry | undefined {
    const bytes = record.subarray(0, ENTRY_SIZE);
    try {
      const entry = decodeEntry(bytes);
      return sameBytes(this.checksum(bytes), record.subarray(ENTRY_SIZE)) ? entry : undefined;
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  private checksum(bytes: Bytes): Uint8Array {
    return this.options.crypto.sha256(bytes).subarray(0, CHECKSUM_SIZE);
  }

  private isOver(name: string, file: DayFile): boolean {
    const { clock } = this.options;
    const end = (Number(NAME.exec(name)![1]) + 1) * DAY_SECONDS;
    if (seconds(clock) < end + ENTRY_LIFE_SECONDS) file.overSince = undefined;
    else file.overSince ??= clock.monotonic();
    return file.overSince !== undefined && clock.monotonic() - file.overSince >= UNLINK_AFTER_MS;
  }

  private unlink(name: string): void {
    this.files.delete(name);
    try {
      unlinkSync(join(this.options.path, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
