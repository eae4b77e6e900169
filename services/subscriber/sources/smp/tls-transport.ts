/**
 * Blocks on a TLS connection, whatever frames them: one after another (guide B.6), or one in a message (`WebSocket`).
 * Judges neither certificates nor contents.
 */
import type { TLSSocket } from 'node:tls';
import { BlockReader } from '../../../../shared/smp/block.js';
import type { OpenTls, SecurePeer } from './tls-socket.js';
import type { Dial, Transport, TransportEvents } from './transport.js';

/** How blocks stand on the stream. */
export interface Framing {
  /** Tells each block that comes, in memory that nobody else writes to; `broken` where something else came. */
  listen(block: (block: Uint8Array) => void, broken: () => void): void;
  /** False when the peer does not keep up. */
  send(block: Uint8Array): boolean;
  /** Reads no further than what it read already. */
  pause(): void;
  resume(): void;
}

/** Bare blocks. @param blockSize bytes: 16,384 for SMP */
export const tlsDial =
  (open: OpenTls, blockSize: number): Dial =>
  async (target, signal) => {
    const peer = await open(target, signal);
    return new TlsTransport(peer, bareBlocks(peer.socket, blockSize));
  };

function bareBlocks(socket: TLSSocket, blockSize: number): Framing {
  const reader = new BlockReader(blockSize);
  return {
    listen(block) {
      socket.on('data', (bytes) => {
        for (const whole of reader.push(bytes)) block(whole);
      });
    },
    send: (block) => socket.write(block),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  };
}

/** Owns the socket from its making. */
export class TlsTransport implements Transport {
  readonly sessionId: Uint8Array;
  readonly chain: readonly Uint8Array[];
  readonly asksCertificate: boolean;
  private readonly socket: TLSSocket;
  private readonly framing: Framing;
  /** Blocks that came while paused: those of one read, for no other is made. */
  private waiting: Uint8Array[] = [];
  private paused = true;
  private broken = false;
  private events: TransportEvents | undefined;

  constructor({ socket, sessionId, chain, asksCertificate }: SecurePeer, framing: Framing) {
    this.socket = socket;
    this.sessionId = sessionId;
    this.chain = chain;
    this.asksCertificate = asksCertificate;
    this.framing = framing;
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.tellClosed());
    socket.on('end', () => socket.destroy());
    socket.on('drain', () => this.events?.drained());
    socket.on('data', () => this.events?.heard());
    framing.listen(
      (block) => this.collect(block),
      () => this.fail(),
    );
    framing.pause();
  }

  listen(events: TransportEvents): void {
    this.events = events;
    this.paused = false;
    setImmediate(() => {
      if (this.socket.destroyed) this.tellClosed();
      else this.deliver();
    });
  }

  pause(): void {
    this.paused = true;
    this.framing.pause();
  }

  send(block: Uint8Array): boolean {
    return this.framing.send(block);
  }

  close(): void {
    this.events = undefined;
    this.waiting = [];
    this.socket.destroy();
  }

  private collect(block: Uint8Array): void {
    this.waiting.push(block);
    this.deliver();
  }

  private deliver(): void {
    while (!this.paused) {
      const block = this.waiting.shift();
      if (!block) break;
      this.events?.block(block);
    }
    if (!this.paused) this.framing.resume();
  }

  private fail(): void {
    this.broken = true;
    this.socket.destroy();
  }

  private tellClosed(): void {
    const { events } = this;
    this.events = undefined;
    events?.closed(this.broken);
  }
}
