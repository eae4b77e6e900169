/**
 * Transmissions and batches of them (guide E), the same for SMP and NTF. Decoding returns views into the block, and
 * what a signature covers is taken from the bytes as they were received, never from an encoding made anew.
 */
import { type Bytes, concat, sameBytes } from '../encoding/bytes.js';
import { Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { MAX_BATCH, SINCE } from './constants.js';

/** What the handshake settled about the form of transmissions. */
export interface SessionParams {
  /** tls-unique (guide B.5). */
  readonly sessionId: Uint8Array;
  /** Whether it stands in each transmission; else it is only signed. */
  readonly sendsSessionId: boolean;
  /** Whether authorised commands have a field for the service's signature. */
  readonly hasServiceSig: boolean;
  /** Whether a block holds a counted list of transmissions. */
  readonly batched: boolean;
}

/** One command or answer, not yet placed in a block. */
export interface Transmission {
  /** Signature or authenticator; empty in answers and in commands that need none. */
  readonly auth: Bytes;
  readonly serviceSig?: Bytes;
  /** Chosen by the client; empty in what a server sends of its own accord. */
  readonly corrId: Bytes;
  readonly entityId: Bytes;
  readonly command: Bytes;
}

/** A transmission as it came. All fields are views. */
export interface Received extends Transmission {
  /** Present iff the session's form has it. */
  readonly sessionId?: Bytes;
  /** Everything behind the signatures, as received. */
  readonly authorizedPart: Bytes;
}

/** Bytes of padding's length, of the batch's count, and of a box's tag: always deducted (guide E.2). */
const BATCH_OVERHEAD = 19;
/** Bytes of the length before each transmission of a batch. */
export const ITEM_OVERHEAD = 2;

/** Lengths that `auth` may have: none, Ed25519, X25519 authenticator, Ed448 (guide E.1). */
const AUTH_SIZES: readonly number[] = [0, 64, 80, 114];

/** Form of an SMP session of this version. */
export const smpSession = (version: number, sessionId: Uint8Array): SessionParams => ({
  sessionId,
  sendsSessionId: version < SINCE.serverKey,
  hasServiceSig: version >= SINCE.services,
  batched: true,
});

type Part = Pick<Transmission, 'corrId' | 'entityId' | 'command'>;

const partSize = (t: Part): number => 2 + t.corrId.length + t.entityId.length + t.command.length;

const writePart = (w: Writer, t: Part): Writer =>
  w.shortString(t.corrId).shortString(t.entityId).bytes(t.command);

/** What a command's signature covers: always with the session id in front (guide E.1). */
export function authorized({ sessionId }: SessionParams, t: Part): Uint8Array {
  const w = new Writer(1 + sessionId.length + partSize(t));
  return writePart(w.shortString(sessionId), t).view();
}

/** The same for a transmission that came, over its very bytes. */
export function authorizedAsReceived(params: SessionParams, received: Received): Bytes {
  if (params.sendsSessionId) return received.authorizedPart;
  return concat(Uint8Array.of(params.sessionId.length), params.sessionId, received.authorizedPart);
}

export function encodeTransmission(params: SessionParams, t: Transmission): Uint8Array {
  const serviceSigSize = 2 + (t.serviceSig?.length ?? 0);
  const w = new Writer(2 + t.auth.length + serviceSigSize + params.sessionId.length + partSize(t));
  w.shortString(t.auth);
  if (params.hasServiceSig && t.auth.length > 0) w.maybe(t.serviceSig, (sig) => w.shortString(sig));
  if (params.sendsSessionId) w.shortString(params.sessionId);
  return writePart(w, t).view();
}

/** Splits one transmission. Throws `DecodeError` where it can't be split: `problemOf` looks at what is inside. */
export function decodeTransmission(params: SessionParams, bytes: Bytes): Received {
  const r = new Reader(bytes);
  const auth = r.shortString();
  const serviceSig = params.hasServiceSig && auth.length > 0 ? r.maybe(() => r.shortString()) : undefined;
  const authorizedPart = bytes.subarray(r.offset);
  const sessionId = params.sendsSessionId ? r.shortString() : undefined;
  const corrId = r.shortString();
  const entityId = r.shortString();
  return {
    auth,
    ...(serviceSig && { serviceSig }),
    ...(sessionId && { sessionId }),
    corrId,
    entityId,
    command: r.tail(),
    authorizedPart,
  };
}

/** What a server answers with the corrId and no entity, before it looks at the command (guide E.4). */
export function problemOf(params: SessionParams, received: Received): 'BLOCK' | 'SESSION' | undefined {
  const { sessionId, auth } = received;
  if (sessionId !== undefined && !sameBytes(sessionId, params.sessionId)) return 'SESSION';
  return AUTH_SIZES.includes(auth.length) ? undefined : 'BLOCK';
}

/** Encoded transmissions as the content of one block. Throws `RangeError` where they are none or too many. */
export function encodeBatch(params: SessionParams, items: readonly Bytes[]): Uint8Array {
  if (!params.batched) {
    if (items.length !== 1) throw new RangeError('one transmission a block');
    return items[0]!.slice();
  }
  if (items.length === 0 || items.length > MAX_BATCH) throw new RangeError('number of transmissions');
  const size = items.reduce((sum, item) => sum + ITEM_OVERHEAD + item.length, 1);
  const w = new Writer(size).u8(items.length);
  for (const item of items) w.large(item);
  return w.view();
}

/** The transmissions of a block's content, not yet split. Throws `DecodeError`. */
export function decodeBatch(params: SessionParams, content: Bytes): Bytes[] {
  if (!params.batched) return [content];
  const r = new Reader(content);
  const items = r.nonEmpty(() => r.large());
  r.end();
  return items;
}

/** The transmissions of a block's content, split. Throws `DecodeError` where one of them can't be. */
export const decodeBlock = (params: SessionParams, content: Bytes): Received[] =>
  decodeBatch(params, content).map((item) => decodeTransmission(params, item));

/** Room for items, each with its length, in a block (guide E.2): 16365 for SMP, 493 for NTF. */
export const batchCapacity = (blockSize: number): number => blockSize - BATCH_OVERHEAD;

/** Encoded transmissions in order, split into groups that each fit a block. Throws `RangeError` for one that never fits. */
export function intoBatches(params: SessionParams, items: readonly Bytes[], blockSize: number): Bytes[][] {
  const capacity = params.batched ? batchCapacity(blockSize) : 0;
  const groups: Bytes[][] = [];
  let room = -1;
  for (const item of items) {
    const size = item.length + ITEM_OVERHEAD;
    if (params.batched && size > capacity) throw new RangeError('transmission too long for a block');
    const group = groups.at(-1);
    if (group !== undefined && size <= room && group.length < MAX_BATCH) group.push(item);
    else {
      groups.push([item]);
      room = capacity;
    }
    room -= size;
  }
  return groups;
}
