/** The connection of a hand-over: whole frames in and out, with back-pressure both ways and no wait without an end. */
import type { Socket } from 'node:net';
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import type { Clock } from '../../../shared/run/clock.js';
import { HandOverError as Failure } from '../../../shared/run/hand-over-error.js';
import {
  decodeReason,
  encodeFrame,
  encodeReason,
  FrameReader,
  type FrameType,
  type Reason,
  type WireFrame,
} from './frames.js';

/** The other side neither sends nor reads for so long: it is taken for dead. */
export const STALL_MS = 15_000;
/** For waits that end with the connection. */
export const FOR_EVER = Number.POSITIVE_INFINITY;
/** Frames that wait to be taken before nothing more is read. */
const MAX_WAITING = 16;

/** The hand-over can't go on. */
export class HandOverError extends Failure<Reason> {}

interface Taker {
  resolve(frame: WireFrame): void;
  reject(error: HandOverError): void;
}

export class Channel {
  private readonly socket: Socket;
  private readonly clock: Clock;
  private readonly reader = new FrameReader();
  private readonly frames: WireFrame[] = [];
  private taker: Taker | undefined;
  private failure: HandOverError | undefined;
  private readonly onLost: (() => void)[] = [];

  constructor(socket: Socket, clock: Clock) {
    this.socket = socket;
    this.clock = clock;
    socket.on('data', (chunk: Buffer) => this.received(chunk));
    socket.on('error', () => {}); // 'close' follows
    socket.on('end', () => this.fail('stopped'));
    socket.on('close', () => this.fail('stopped'));
    socket.resume();
  }

  get isOpen(): boolean {
    return this.failure === undefined;
  }

  /** Bytes that the other side has not taken yet. */
  get backlog(): number {
    return this.socket.writableLength;
  }

  /** Called once when the connection is over, by whichever side. */
  lost(run: () => void): void {
    if (this.failure) run();
    else this.onLost.push(run);
  }

  /** Sends without waiting: for what is small or bounded otherwise. */
  post(type: FrameType, body?: Bytes): void {
    if (this.failure) return;
    const bytes = encodeFrame(type, body);
    this.socket.write(bytes, () => wipe(bytes));
    wipe(body);
  }

  /** Sends, and waits until the other side takes more. Rejects with `HandOverError`. */
  async send(type: FrameType, body?: Bytes): Promise<void> {
    this.post(type, body);
    if (this.failure) throw this.failure;
    if (!this.socket.writableNeedDrain) return;
    await new Promise<void>((resolve, reject) => {
      const timer = this.clock.after(STALL_MS, () => this.fail('stalled'));
      const drained = (): void => {
        timer.cancel();
        resolve();
      };
      this.socket.once('drain', drained);
      this.lost(() => {
        timer.cancel();
        reject(this.failure);
      });
    });
  }

  /** The next frame, which must be of this type. Rejects with `HandOverError`. @param ms at most, or `FOR_EVER` */
  async expect(type: FrameType, ms = STALL_MS): Promise<Bytes> {
    const frame = await this.next(ms);
    if (frame.type === type) return frame.body;
    wipe(frame.body);
    throw new HandOverError('frame');
  }

  /** The next frame; whoever takes it wipes its body. Rejects with `HandOverError`, also for `abort`. */
  async next(ms = STALL_MS): Promise<WireFrame> {
    const frame = this.frames.shift() ?? (await this.coming(ms));
    if (this.frames.length < MAX_WAITING && !this.failure) this.socket.resume();
    if (frame.type === 'abort') throw new HandOverError(reasonIn(frame.body));
    return frame;
  }

  /** Says why, and ends. */
  abort(reason: Reason): void {
    if (this.failure) return;
    this.socket.write(encodeFrame('abort', encodeReason(reason)));
    this.socket.destroySoon();
    this.fail(reason);
  }

  /** Ends, and resolves, once all that was sent is taken, or nothing was for too long. */
  async close(): Promise<void> {
    const { socket } = this;
    socket.destroySoon();
    this.fail('stopped');
    if (socket.closed) return;
    const timer = this.clock.after(STALL_MS, () => socket.destroy());
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    timer.cancel();
  }

  private coming(ms: number): Promise<WireFrame> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const timer = ms === FOR_EVER ? undefined : this.clock.after(ms, () => this.fail('stalled'));
      this.taker = {
        resolve(frame) {
          timer?.cancel();
          resolve(frame);
        },
        reject(error) {
          timer?.cancel();
          reject(error);
        },
      };
    });
  }

  private received(chunk: Buffer): void {
    try {
      this.frames.push(...this.reader.push(chunk));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.abort('frame');
      return;
    }
    const { taker } = this;
    const frame = taker && this.frames.shift();
    if (frame) this.taker = undefined;
    if (frame) taker.resolve(frame);
    if (this.frames.length >= MAX_WAITING) this.socket.pause();
  }

  private fail(reason: Reason): void {
    if (this.failure) return;
    this.failure = new HandOverError(reason);
    this.reader.end();
    if (reason === 'stalled') this.socket.destroy();
    const { taker } = this;
    this.taker = undefined;
    taker?.reject(this.failure);
    for (const run of this.onLost) run();
  }
}

function reasonIn(body: Bytes): Reason {
  try {
    return decodeReason(body);
  } catch {
    return 'frame';
  }
}
