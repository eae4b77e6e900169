/**
 * Everything that crosses, as records one after another (README.md): each part writes and reads its own, beside its
 * data; here is only their order. Copied while the gate is held, a bounded piece at a time.
 */
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError, Reader } from '../../../shared/encoding/reader.js';
import { Writer } from '../../../shared/encoding/writer.js';
import type { SmpQueue } from '../../../shared/smp/address.js';
import { readDevice, writeDevice } from '../registry/device-state.js';
import type { MemoryRegistry } from '../registry/memory-registry.js';
import {
  readRegistryKeys,
  readSubscription,
  writeRegistryKeys,
  writeSubscription,
} from '../registry/subscription-state.js';
import type { NotifierKey, SmpSource } from '../sources/smp/source.js';
import {
  readQueueState,
  readServerState,
  readSpelling,
  writeQueueState,
  writeServerState,
  writeSpelling,
} from '../sources/smp/source-state.js';
import { readPager, writePager } from '../wake/pager-state.js';
import type { WakeEngine } from '../wake/wake.js';

/** Whatever remembers something. */
export interface Parts {
  readonly registry: MemoryRegistry<SmpQueue, NotifierKey>;
  readonly source: SmpSource;
  readonly wake: WakeEngine;
  /** Under which token hashes and DH keys are made: filled in place. */
  readonly processKey: Uint8Array;
  /** Names of the listeners of this configuration. */
  readonly listeners: ReadonlySet<string>;
}

const KEY_SIZE = 32;
/** A piece ends behind the record that makes it this long; records are below 16 KB. */
const PIECE_BYTES = 32 * 1024;

/** Index = the byte before each record; in the order in which they come. */
const RECORDS = ['keys', 'server', 'spelling', 'device', 'subscription', 'pager'] as const;
type RecordKind = (typeof RECORDS)[number];
type Write = (w: Writer) => void;

function* records({ registry, source, wake, processKey }: Parts): Iterable<[RecordKind, Write]> {
  yield ['keys', (w) => writeRegistryKeys(w.bytes(processKey).bytes(wake.secretKey), registry.keys)];
  for (const state of source.serverStates()) yield ['server', (w) => writeServerState(w, state)];
  for (const state of source.spellingStates()) yield ['spelling', (w) => writeSpelling(w, state)];
  for (const state of registry.deviceStates()) yield ['device', (w) => writeDevice(w, state)];
  for (const [state, handle] of registry.subscriptionStates()) {
    const write = (w: Writer): void => {
      writeSubscription(w, state);
      writeQueueState(w, source.queueState(handle));
    };
    yield ['subscription', write];
  }
  for (const state of wake.states()) yield ['pager', (w) => writePager(w, state)];
}

/** The whole state in pieces, each to be wiped by whoever takes it. Nothing may change meanwhile. */
export function* exportState(
  parts: Parts,
): Iterable<{ readonly piece: Uint8Array; readonly records: number }> {
  let w = new Writer(2 * PIECE_BYTES);
  let count = 0;
  for (const [kind, write] of records(parts)) {
    write(w.u8(RECORDS.indexOf(kind)));
    count++;
    if (w.size < PIECE_BYTES) continue;
    yield { piece: w.view(), records: count };
    w = new Writer(2 * PIECE_BYTES);
    count = 0;
  }
  if (count > 0) yield { piece: w.view(), records: count };
}

/**
 * Takes a piece over; returns how many records it had. Throws `DecodeError` for what is none, and `RangeError` for
 * what there is no room or no listener for.
 */
export function importPiece(parts: Parts, piece: Bytes): number {
  const r = new Reader(piece);
  let count = 0;
  try {
    for (; r.remaining > 0; count++) importRecord(parts, r);
  } finally {
    wipe(piece);
  }
  return count;
}

function importRecord({ registry, source, wake, processKey, listeners }: Parts, r: Reader): void {
  switch (RECORDS[r.u8()]) {
    case 'keys':
      processKey.set(r.take(KEY_SIZE));
      wake.secretKey.set(r.take(KEY_SIZE));
      registry.restoreKeys(readRegistryKeys(r));
      break;
    case 'server':
      source.restoreServer(readServerState(r));
      break;
    case 'spelling':
      source.restoreSpelling(readSpelling(r));
      break;
    case 'device': {
      const state = readDevice(r);
      if (!listeners.has(state.listener)) throw new RangeError('device of an unknown listener');
      registry.restoreDevice(state);
      break;
    }
    case 'subscription': {
      const state = readSubscription(r);
      registry.restoreSubscription(state, source.restoreQueue(readQueueState(r), state.row));
      break;
    }
    case 'pager': {
      const state = readPager(r);
      const device = registry.deviceAt(state.slot);
      if (device === undefined) throw new DecodeError('pager of no device');
      wake.restore(device, state);
      break;
    }
    default:
      throw new DecodeError('unknown record');
  }
}
