/** A mailbox as it crosses to a successor (handover/README.md). Pure. */
import { fromUtf8 } from '../../../shared/encoding/bytes.js';
import { DecodeError, type Reader } from '../../../shared/encoding/reader.js';
import type { Writer } from '../../../shared/encoding/writer.js';
import { NONCE_SIZE } from '../../../shared/relay/batch.js';
import { MAX_ENTRIES, MAX_METADATA } from './mailbox-pool.js';

/** An entry with all that is known of it. */
export interface EntryState {
  readonly ref: number;
  readonly server: number;
  /** Unix seconds of its receipt. */
  readonly time: number;
  /** Monotonic second of its first accepted push; undefined while untold. */
  readonly toldAt: number | undefined;
  readonly isInFlight: boolean;
  readonly sequence: number;
  readonly nonce: Uint8Array;
  readonly metadata: Uint8Array;
}

export interface MailboxState {
  readonly overflow: boolean;
  readonly maybeMissed: boolean;
  readonly sequence: number;
  readonly sentContent: string | undefined;
  readonly failedContent: string | undefined;
  /** In the order of receipt, told ones first. */
  readonly entries: readonly EntryState[];
}

export function writeMailbox(w: Writer, state: MailboxState): void {
  w.bool(state.overflow).bool(state.maybeMissed).u32(state.sequence);
  for (const content of [state.sentContent, state.failedContent]) {
    w.maybe(content, (text) => w.u8(text.length).text(text));
  }
  w.list(state.entries, (entry) => writeEntry(w, entry));
}

/** Byte fields are views. Throws `DecodeError`. */
export function readMailbox(r: Reader): MailboxState {
  const [overflow, maybeMissed, sequence] = [r.bool(), r.bool(), r.u32()];
  const content = () => r.maybe(() => readText(r));
  const [sentContent, failedContent] = [content(), content()];
  const entries = r.list(() => readEntry(r));
  const isTold = ({ toldAt }: EntryState): boolean => toldAt !== undefined;
  if (
    entries.length > MAX_ENTRIES ||
    entries.some((entry, i) => isTold(entry) && i > 0 && !isTold(entries[i - 1]!))
  ) {
    throw new DecodeError('not a mailbox');
  }
  return { overflow, maybeMissed, sequence, sentContent, failedContent, entries };
}

function writeEntry(w: Writer, entry: EntryState): void {
  w.u32(entry.ref).u32(entry.server).u32(entry.time);
  w.maybe(entry.toldAt, (second) => w.u32(second));
  w.bool(entry.isInFlight).u32(entry.sequence).bytes(entry.nonce).shortString(entry.metadata);
}

function readEntry(r: Reader): EntryState {
  const [ref, server, time] = [r.u32(), r.u32(), r.u32()];
  const toldAt = r.maybe(() => r.u32());
  const [isInFlight, sequence] = [r.bool(), r.u32()];
  const [nonce, metadata] = [r.take(NONCE_SIZE), r.shortString()];
  if (metadata.length > MAX_METADATA) throw new DecodeError('metadata too long');
  return { ref, server, time, toldAt, isInFlight, sequence, nonce, metadata };
}

/** Short words of our own code. Throws `DecodeError`. */
export function readText(r: Reader): string {
  try {
    return fromUtf8(r.shortString());
  } catch (error) {
    throw error instanceof TypeError ? new DecodeError('not text') : error;
  }
}
