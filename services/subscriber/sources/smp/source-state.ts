/**
 * Servers, spellings and queues as they cross to a successor (handover/README.md). Keys are there as they are kept:
 * deriving a million public keys anew would take half a minute. Pure.
 */
import type { AuthAlgorithm } from '../../../../shared/encoding/keys.js';
import { DecodeError, type Reader } from '../../../../shared/encoding/reader.js';
import type { Writer } from '../../../../shared/encoding/writer.js';
import { readServer, type ServerAddress, writeServer } from '../../../../shared/smp/address.js';
import { ID_SIZE, KEY_HASH_SIZE } from '../../../../shared/smp/constants.js';
import type { FollowStatus } from '../source.js';
import { STATUS_BYTES, statusByte, statusOf } from './statuses.js';

export const ALGORITHMS = ['ed25519', 'ed448', 'x25519'] as const satisfies readonly AuthAlgorithm[];
/** Ed25519 is kept as seed ‖ public key: signing from the seed alone would derive the latter each time. */
export const KEY_BYTES: Readonly<Record<AuthAlgorithm, number>> = { ed25519: 64, ed448: 57, x25519: 32 };

/** What a server is believed to hold of our service, beside the queues themselves. */
export interface AssociationsState {
  readonly serviceId: Uint8Array;
  readonly hasHash: boolean;
  readonly checkedMs: number;
}

export interface ServerState {
  readonly number: number;
  readonly unit: number;
  readonly port: number;
  readonly keyHash: Uint8Array;
  readonly hosts: readonly string[];
  /** Which of them have authenticated. */
  readonly proven: readonly string[];
  readonly ordinaryUntilMs: number;
  readonly associations: AssociationsState | undefined;
}

export interface SpellingState {
  readonly number: number;
  /** Number of its server. */
  readonly server: number;
  readonly address: ServerAddress;
}

export interface QueueState {
  /** Number of its spelling. */
  readonly spelling: number;
  readonly notifierId: Uint8Array;
  readonly algorithm: AuthAlgorithm;
  /** As it is kept. */
  readonly key: Uint8Array;
  readonly status: FollowStatus;
  readonly isConfirmed: boolean;
  readonly isMissed: boolean;
  readonly isAssociated: boolean;
}

export function writeServerState(w: Writer, state: ServerState): void {
  w.u16(state.number)
    .u32(state.unit >>> 0)
    .u16(state.port)
    .bytes(state.keyHash);
  w.list(state.hosts, (host) => writeText(w, host)).list(state.proven, (host) => writeText(w, host));
  w.f64(state.ordinaryUntilMs);
  w.maybe(state.associations, ({ serviceId, hasHash, checkedMs }) =>
    w.shortString(serviceId).bool(hasHash).f64(checkedMs),
  );
}

/** Byte fields are views. Throws `DecodeError`. */
export function readServerState(r: Reader): ServerState {
  const [number, unit, port, keyHash] = [r.u16(), r.u32(), r.u16(), r.take(KEY_HASH_SIZE)];
  const [hosts, proven] = [r.list(() => readText(r)), r.list(() => readText(r))];
  const ordinaryUntilMs = r.f64();
  const associations = r.maybe(() => {
    return { serviceId: r.shortString(), hasHash: r.bool(), checkedMs: r.f64() };
  });
  // All share a connection under number -1.
  return {
    number,
    unit: unit === 0xffff_ffff ? -1 : unit,
    port,
    keyHash,
    hosts,
    proven,
    ordinaryUntilMs,
    associations,
  };
}

export function writeSpelling(w: Writer, { number, server, address }: SpellingState): void {
  w.u16(number).u16(server);
  writeServer(w, address);
}

/** Byte fields are views. Throws `DecodeError`. */
export const readSpelling = (r: Reader): SpellingState => ({
  number: r.u16(),
  server: r.u16(),
  address: readServer(r),
});

const CONFIRMED = 1;
const MISSED = 2;
const ASSOCIATED = 4;

export function writeQueueState(w: Writer, state: QueueState): void {
  const flags =
    (state.isConfirmed ? CONFIRMED : 0) |
    (state.isMissed ? MISSED : 0) |
    (state.isAssociated ? ASSOCIATED : 0);
  w.u16(state.spelling).bytes(state.notifierId).u8(ALGORITHMS.indexOf(state.algorithm)).bytes(state.key);
  w.u8(statusByte(state.status)).u8(flags);
}

/** Byte fields are views. Throws `DecodeError`. */
export function readQueueState(r: Reader): QueueState {
  const [spelling, notifierId] = [r.u16(), r.take(ID_SIZE)];
  const algorithm = ALGORITHMS[r.u8()];
  if (algorithm === undefined) throw new DecodeError('not a key');
  const key = r.take(KEY_BYTES[algorithm]);
  const [status, flags] = [r.u8(), r.u8()];
  if (status >= STATUS_BYTES || flags > (CONFIRMED | MISSED | ASSOCIATED))
    throw new DecodeError('not a queue');
  // A plain literal: there may be a million.
  return {
    spelling,
    notifierId,
    algorithm,
    key,
    status: statusOf(status),
    isConfirmed: (flags & CONFIRMED) !== 0,
    isMissed: (flags & MISSED) !== 0,
    isAssociated: (flags & ASSOCIATED) !== 0,
  };
}

const writeText = (w: Writer, text: string): Writer => w.u8(text.length).text(text);

function readText(r: Reader): string {
  const bytes = r.shortString();
  if (bytes.some((byte) => byte < 0x21 || byte > 0x7e)) throw new DecodeError('not a host');
  return String.fromCharCode(...bytes);
}
