/** The send queue of one connection: what the socket takes at once goes, the rest waits in order, up to a limit. */
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { Wire } from './wire.js';

interface Waiting {
  readonly block: Uint8Array;
  readonly notifications: number;
}

export interface OutboxOptions {
  readonly wire: Wire;
  readonly clock: Clock;
  /** Blocks that may wait; more come only from a block of commands that is already being answered. */
  readonly limit: number;
  /** Called when the queue takes more again. */
  readonly onRoom: () => void;
}

export class Outbox {
  private readonly options: OutboxOptions;
  private waiting: Waiting[] = [];
  private blocked = false;
  private stalled = false;
  private heldBy: Timer | undefined;

  constructor(options: OutboxOptions) {
    this.options = options;
    options.wire.socket.on('drain', () => {
      this.blocked = false;
      this.flush();
    });
  }

  get full(): boolean {
    return this.waiting.length >= this.options.limit;
  }

  push(block: Uint8Array, notifications = 0): void {
    this.waiting.push({ block, notifications });
    this.flush();
  }

  /** Sends nothing for a while, or never again. */
  hold(ms: number): void {
    this.heldBy?.cancel();
    this.heldBy = this.options.clock.after(ms, () => {
      this.heldBy = undefined;
      this.flush();
    });
  }

  stall(): void {
    this.stalled = true;
  }

  /** Gives up what waits; returns how many notifications die with it. */
  close(): number {
    this.stall();
    this.heldBy?.cancel();
    const lost = this.waiting.reduce((sum, { notifications }) => sum + notifications, 0);
    this.waiting = [];
    return lost;
  }

  private flush(): void {
    const wasFull = this.full;
    let sent = 0;
    while (sent < this.waiting.length && !this.blocked && !this.stalled && !this.heldBy) {
      this.blocked = !this.options.wire.send(this.waiting[sent++]!.block);
    }
    this.waiting.splice(0, sent);
    if (wasFull && !this.full) this.options.onRoom();
  }
}
