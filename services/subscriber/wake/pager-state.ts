/**
 * What the wake engine knows of one device, as it crosses to a successor (handover/README.md). Times are monotonic
 * milliseconds of a clock that the successor goes on with. Pure.
 */
import { DecodeError, type Reader } from '../../../shared/encoding/reader.js';
import type { Writer } from '../../../shared/encoding/writer.js';
import {
  CAPABILITY_SIZE,
  FRAME_ID_SIZE,
  FRAME_KINDS,
  type Frame,
  NONCE_SIZE,
  PAYLOAD_SIZE,
} from '../../../shared/relay/batch.js';
import { type MailboxState, readMailbox, writeMailbox } from './mailbox-state.js';
import type { Flight } from './pager.js';
import { PUSH_KINDS, type PushKind } from './policy.js';
import type { Share } from './shares.js';
import { CODE_HASH_SIZE } from './vault.js';

export interface AllowanceState {
  readonly budgets: Readonly<Record<PushKind, number>>;
  readonly notBefore: Readonly<Record<PushKind, number>>;
  readonly shares: readonly Share[];
}

/** Names as in `Pager`. */
export const TIMES = [
  'lastProofAt',
  'lastVerificationAt',
  'renewAt',
  'wrongSince',
  'lastAcceptedAt',
  'lastNewsAt',
  'newsDueAt',
  'checkDueAt',
  'flagsDueAt',
] as const;
export type PagerTimes = Readonly<Record<(typeof TIMES)[number], number>>;

export interface PagerState extends PagerTimes {
  /** Of its device. */
  readonly slot: number;
  readonly epoch: number;
  readonly generation: number;
  readonly wantsVerification: boolean;
  readonly wantsAlert: boolean;
  readonly wrongCodes: number;
  readonly checkMinutes: number;
  readonly allowance: AllowanceState;
  readonly mailbox: MailboxState;
  readonly secrets: { readonly capability: Uint8Array; readonly codeHash: Uint8Array } | undefined;
  /** Without a frame: the exchange that has to come before one. */
  readonly flight: (Flight & { readonly frame: Frame | undefined }) | undefined;
}

export function writePager(w: Writer, state: PagerState): void {
  w.u32(state.slot).u16(state.epoch).u32(state.generation);
  w.bool(state.wantsVerification).bool(state.wantsAlert).u32(state.wrongCodes).u32(state.checkMinutes);
  for (const name of TIMES) w.f64(state[name]);
  writeAllowance(w, state.allowance);
  writeMailbox(w, state.mailbox);
  w.maybe(state.secrets, ({ capability, codeHash }) => w.bytes(capability).bytes(codeHash));
  w.maybe(state.flight, (flight) => writeFlight(w, flight));
}

/** Byte fields are views. Throws `DecodeError`. */
export function readPager(r: Reader): PagerState {
  const [slot, epoch, generation] = [r.u32(), r.u16(), r.u32()];
  const [wantsVerification, wantsAlert, wrongCodes, checkMinutes] = [r.bool(), r.bool(), r.u32(), r.u32()];
  const times = Object.fromEntries(TIMES.map((name) => [name, r.f64()])) as unknown as PagerTimes;
  const [allowance, mailbox] = [readAllowance(r), readMailbox(r)];
  const secrets = r.maybe(() => ({ capability: r.take(CAPABILITY_SIZE), codeHash: r.take(CODE_HASH_SIZE) }));
  const flight = r.maybe(() => readFlight(r));
  const facts = { slot, epoch, generation, wantsVerification, wantsAlert, wrongCodes, checkMinutes };
  return { ...facts, ...times, allowance, mailbox, secrets, flight };
}

function writeAllowance(w: Writer, { budgets, notBefore, shares }: AllowanceState): void {
  for (const kind of PUSH_KINDS) w.f64(budgets[kind]).f64(notBefore[kind]);
  w.list(shares, ({ server, kind, fullAt }) => w.u32(server).u8(PUSH_KINDS.indexOf(kind)).f64(fullAt));
}

function readAllowance(r: Reader): AllowanceState {
  const rows = PUSH_KINDS.map((kind) => [kind, r.f64(), r.f64()] as const);
  const budgets = Object.fromEntries(rows.map(([kind, at]) => [kind, at])) as Record<PushKind, number>;
  const notBefore = Object.fromEntries(rows.map(([kind, , at]) => [kind, at])) as Record<PushKind, number>;
  const shares = r.list(() => ({ server: r.u32(), kind: readKind(r), fullAt: r.f64() }));
  return { budgets, notBefore, shares };
}

function writeFlight(w: Writer, flight: NonNullable<PagerState['flight']>): void {
  w.u8(PUSH_KINDS.indexOf(flight.kind)).u32(flight.generation);
  w.bool(flight.overflow).bool(flight.maybeMissed).bool(flight.isCheck);
  w.list(flight.servers, (server) => w.u32(server));
  w.maybe(flight.frame, (frame) => {
    w.bytes(frame.id).u8(FRAME_KINDS.indexOf(frame.kind)).bool(frame.urgent).u8(frame.slot).u32(frame.expiry);
    w.bytes(frame.capability).bytes(frame.nonce).bytes(frame.payload);
  });
}

function readFlight(r: Reader): NonNullable<PagerState['flight']> {
  const [kind, generation] = [readKind(r), r.u32()];
  const [overflow, maybeMissed, isCheck] = [r.bool(), r.bool(), r.bool()];
  const servers = r.list(() => r.u32());
  const frame = r.maybe(() => readFrame(r));
  return { kind, generation, overflow, maybeMissed, isCheck, servers, frame };
}

function readFrame(r: Reader): Frame {
  const id = r.take(FRAME_ID_SIZE);
  const kind = FRAME_KINDS[r.u8()];
  if (kind === undefined) throw new DecodeError('not a kind of frame');
  const [urgent, slot, expiry] = [r.bool(), r.u8(), r.u32()];
  const [capability, nonce, payload] = [r.take(CAPABILITY_SIZE), r.take(NONCE_SIZE), r.take(PAYLOAD_SIZE)];
  return { id, kind, urgent, slot, expiry, capability, nonce, payload };
}

function readKind(r: Reader): PushKind {
  const kind = PUSH_KINDS[r.u8()];
  if (kind === undefined) throw new DecodeError('not a kind of push');
  return kind;
}
