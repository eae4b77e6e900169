/** A subscription, without its queue, as it crosses to a successor (handover/README.md). Pure. */
import { fromUtf8 } from '../../../shared/encoding/bytes.js';
import { DecodeError, type Reader } from '../../../shared/encoding/reader.js';
import type { Writer } from '../../../shared/encoding/writer.js';
import { HASH_KEY_BYTES } from '../../../shared/memory/keyed-hash.js';
import type { FollowStatus } from '../sources/source.js';
import { ID_KEY_SIZE } from './subscription-ids.js';

export interface SubscriptionState {
  /** Kept, as `serial` is: its id is made of both. */
  readonly row: number;
  readonly serial: number;
  /** Slot of its device. */
  readonly device: number;
  readonly queueHash: number;
  readonly holdsQueue: boolean;
  readonly status: FollowStatus;
}

/** What all subscriptions have in common. */
export interface RegistryKeys {
  /** Under which ids are made. */
  readonly ids: Uint8Array;
  /** Under which queues are hashed. */
  readonly queues: Uint8Array;
  /** The last that was given out. */
  readonly serial: number;
}

const KINDS = ['pending', 'active', 'inactive', 'end', 'deleted', 'auth', 'service', 'error'] as const;

export function writeStatus(w: Writer, status: FollowStatus): void {
  w.u8(KINDS.indexOf(status.kind));
  if (status.kind === 'error') w.u8(status.word.length).text(status.word);
}

/** Throws `DecodeError`. */
export function readStatus(r: Reader): FollowStatus {
  const kind = KINDS[r.u8()];
  if (kind === undefined) throw new DecodeError('not a status');
  if (kind !== 'error') return { kind };
  try {
    return { kind, word: fromUtf8(r.shortString()) };
  } catch (error) {
    throw error instanceof TypeError ? new DecodeError('not a word') : error;
  }
}

export function writeSubscription(w: Writer, state: SubscriptionState): void {
  w.u32(state.row).u32(state.serial).u32(state.device).u32(state.queueHash).bool(state.holdsQueue);
  writeStatus(w, state.status);
}

/** Throws `DecodeError`. */
export function readSubscription(r: Reader): SubscriptionState {
  const [row, serial, device, queueHash, holdsQueue] = [r.u32(), r.u32(), r.u32(), r.u32(), r.bool()];
  return { row, serial, device, queueHash, holdsQueue, status: readStatus(r) };
}

export function writeRegistryKeys(w: Writer, { ids, queues, serial }: RegistryKeys): void {
  w.bytes(ids).bytes(queues).u32(serial);
}

/** Byte fields are views. Throws `DecodeError`. */
export const readRegistryKeys = (r: Reader): RegistryKeys => ({
  ids: r.take(ID_KEY_SIZE),
  queues: r.take(HASH_KEY_BYTES),
  serial: r.u32(),
});
