/**
 * The side of the hand-over that takes over (README.md): proves itself, takes the state, says that it has it, listens,
 * and is the subscriber once it is told so. Until then it answers nobody, and any failure ends it.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Crypto, KeyPair } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError, Reader } from '../../../shared/encoding/reader.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { SourceSink } from '../sources/source.js';
import { Channel, FOR_EVER, HandOverError, STALL_MS } from './channel.js';
import { readEvents } from './events.js';
import {
  decodeBegin,
  decodeChallenge,
  encodeHello,
  encodeNames,
  FREES_FIRST,
  type NamedAddress,
  NONCE_SIZE,
  READS,
} from './frames.js';
import { sign, verify } from './proof.js';
import { importPiece, type Parts } from './state.js';

/** It lets answers of messaging servers come in before it begins. */
const BEGIN_MS = 30_000;

export interface SuccessorOptions {
  /** Of the control socket. */
  readonly path: string;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly identity: KeyPair;
  readonly log: Log;
}

/** The predecessor holds still, and its state comes. */
export interface Succession {
  /** How far its monotonic clock is ahead of ours. */
  readonly shiftMs: number;
  /** What it listens on and can let go of. */
  readonly addresses: readonly NamedAddress[];
  /**
   * Takes its state. Resolves when it has let go of its control socket, and of the listeners with these names. Rejects
   * with `HandOverError`: it serves on.
   */
  receive(parts: Parts, names: readonly string[]): Promise<void>;
  /**
   * We listen. Resolves when we are the subscriber, and the predecessor subscribes no more; what servers tell it goes
   * on coming until it is gone. Rejects with `HandOverError`: it serves on.
   */
  commit(parts: Parts): Promise<void>;
  /** It serves on, or, where it does so no longer, ends. */
  end(reason: HandOverError['reason']): void;
}

/** Asks the subscriber that runs. Undefined where none does. Rejects with `HandOverError`. */
export async function succeed(options: SuccessorOptions): Promise<Succession | undefined> {
  const socket = await reach(options.path);
  if (socket === undefined) return undefined;
  const channel = new Channel(socket, options.clock);
  try {
    const format = await authenticate(channel, options);
    const { now, addresses } = decodeBegin(await channel.expect('begin', BEGIN_MS));
    const freesFirst = format >= FREES_FIRST;
    const become = (parts: Parts): Promise<void> => commit(channel, parts, options.log, freesFirst);
    return {
      shiftMs: now - options.clock.monotonic(),
      addresses,
      async receive(parts, names) {
        await receive(channel, parts, names);
        if (freesFirst) await orFail(channel, channel.expect('free'));
        else await become(parts);
      },
      commit: (parts) => (freesFirst ? become(parts) : Promise.resolve()),
      end: (reason) => channel.abort(reason),
    };
  } catch (error) {
    throw failed(channel, error);
  }
}

async function reach(path: string): Promise<Socket | undefined> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw error;
  }
  socket.write(`${JSON.stringify({ do: 'hand-over' })}\n`);
  return socket;
}

/** The predecessor's format. */
async function authenticate(channel: Channel, { crypto, identity }: SuccessorOptions): Promise<number> {
  const successorNonce = crypto.randomBytes(NONCE_SIZE);
  await channel.send('hello', encodeHello({ ...READS, nonce: successorNonce }));
  const challenge = decodeChallenge(await channel.expect('challenge'));
  const { format, nonce: predecessorNonce, signature } = challenge;
  if (format < READS.min || format > READS.max) throw new HandOverError('version');
  const exchange = { format, successorNonce, predecessorNonce };
  if (!verify(crypto, identity, 'predecessor', exchange, signature)) throw new HandOverError('key');
  await channel.send('proof', sign(crypto, identity, 'successor', exchange));
  return format;
}

async function receive(channel: Channel, parts: Parts, names: readonly string[]): Promise<void> {
  const take = async (): Promise<void> => {
    let count = 0;
    for (;;) {
      const { type, body } = await channel.next();
      if (type === 'state') count += importPiece(parts, body);
      else if (type === 'end') {
        const r = new Reader(body);
        if (r.u32() !== count) throw new DecodeError('records are missing');
        break;
      } else throw new HandOverError('frame');
    }
    parts.registry.begin();
    await channel.send('ready', encodeNames(names));
  };
  await orFail(channel, take());
}

/** @param isAsked whether the predecessor waits for our words before and after the commit */
async function commit(channel: Channel, parts: Parts, log: Log, isAsked: boolean): Promise<void> {
  if (isAsked) channel.post('listening');
  await orFail(channel, channel.expect('commit'));
  // Before anything else: without this word the predecessor goes on.
  if (isAsked) channel.post('taken');
  await follow(channel, parts, log);
}

function follow(channel: Channel, parts: Parts, log: Log): Promise<void> {
  const sink = mirrorOf(parts);
  return new Promise((released) => {
    const read = async (): Promise<void> => {
      for (let isReleased = false; ; ) {
        const { type, body } = await channel.next(isReleased ? FOR_EVER : STALL_MS);
        if (type === 'event') readEvents(body, sink);
        else wipe(body);
        if (type === 'finished') break;
        if (type !== 'released') continue;
        isReleased = true;
        released();
      }
      void channel.close();
      log.info('the predecessor is gone');
    };
    read().catch(() => {
      // Whatever it was, we are the subscriber; what it had heard and not handed on is lost.
      log.warn('the predecessor ended early');
      void channel.close();
      for (const handle of parts.registry.restoredHandles()) parts.source.mirrorMissed(handle);
      released();
    });
  });
}

/** What servers told the predecessor, of subscriptions that may be gone here, and others have their numbers. */
function mirrorOf({ registry, source }: Parts): SourceSink {
  const known = (ref: number, tell: (handle: number) => void): void => {
    const handle = registry.restoredHandle(ref);
    if (handle !== undefined) tell(handle);
  };
  return {
    status: (ref, status) => known(ref, (handle) => source.mirror(handle, status)),
    signal: (ref, nonce, metadata) => known(ref, () => registry.signal(ref, nonce, metadata)),
    maybeMissed: (ref) => known(ref, (handle) => source.mirrorMissed(handle)),
  };
}

async function orFail<T>(channel: Channel, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw failed(channel, error);
  }
}

function failed(channel: Channel, error: unknown): HandOverError {
  const failure = asFailure(error);
  channel.abort(failure.reason);
  return failure;
}

function asFailure(error: unknown): HandOverError {
  if (error instanceof HandOverError) return error;
  if (error instanceof RangeError) return new HandOverError('configuration');
  return new HandOverError(error instanceof DecodeError ? 'frame' : 'state');
}
