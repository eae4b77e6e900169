/**
 * The side of the hand-over that takes over (README.md): proves itself, takes the state, says that it has it, and is
 * the subscriber once it is told so. Until then it answers nobody, and any failure ends it.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Crypto, KeyPair } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError, Reader } from '../../../shared/encoding/reader.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { SourceSink } from '../sources/source.js';
import { Channel, FOR_EVER, HandOverError } from './channel.js';
import { readEvents } from './events.js';
import { decodeBegin, decodeChallenge, encodeHello, type NamedAddress, NONCE_SIZE, READS } from './frames.js';
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
  /** What it listens on until the commit; undefined where it is of a version that doesn't say. */
  readonly addresses: readonly NamedAddress[] | undefined;
  /** Takes its state. Resolves when we are the subscriber. Rejects with `HandOverError`: it serves on. */
  receive(parts: Parts): Promise<void>;
  /**
   * Takes what servers said since. Resolves when the predecessor has let go of everything; goes on until it is gone.
   */
  follow(parts: Parts): Promise<void>;
  /** We can't: it serves on. */
  refuse(): void;
}

/** Asks the subscriber that runs. Undefined where none does. Rejects with `HandOverError`. */
export async function succeed(options: SuccessorOptions): Promise<Succession | undefined> {
  const socket = await reach(options.path);
  if (socket === undefined) return undefined;
  const channel = new Channel(socket, options.clock);
  try {
    const format = await authenticate(channel, options);
    const { now, addresses } = decodeBegin(await channel.expect('begin', BEGIN_MS), format);
    return {
      shiftMs: now - options.clock.monotonic(),
      addresses,
      receive: (parts) => receive(channel, parts),
      follow: (parts) => follow(channel, parts, options.log),
      refuse: () => channel.abort('configuration'),
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

async function receive(channel: Channel, parts: Parts): Promise<void> {
  try {
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
    await channel.send('ready');
    await channel.expect('commit');
  } catch (error) {
    throw failed(channel, error);
  }
}

function follow(channel: Channel, parts: Parts, log: Log): Promise<void> {
  const sink = mirrorOf(parts);
  return new Promise((released) => {
    const read = async (): Promise<void> => {
      for (;;) {
        const { type, body } = await channel.next(FOR_EVER);
        if (type === 'event') readEvents(body, sink);
        else wipe(body);
        if (type === 'released') released();
        if (type === 'finished') break;
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
