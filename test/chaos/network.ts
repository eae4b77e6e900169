/**
 * The network between two parties: a TCP proxy on loopback that cuts, refuses, freezes and slows down on command.
 * Knows nothing of what passes through it.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../shared/run/clock.js';

const HOST = '127.0.0.1';

export class Network {
  private readonly server: Server;
  private readonly targetPort: () => number;
  private readonly sockets = new Set<Socket>();
  private readonly frozen = new WeakSet<Socket>();
  private isRefusing = false;
  private delayMs = 0;
  private bytesLeft = Number.POSITIVE_INFINITY;

  private constructor(targetPort: () => number) {
    this.targetPort = targetPort;
    this.server = createServer((socket) => this.accept(socket));
  }

  /** Listens when this resolves. `targetPort` is asked at each connection. */
  static async start(targetPort: () => number): Promise<Network> {
    const network = new Network(targetPort);
    await new Promise<void>((resolve) => network.server.listen(0, HOST, resolve));
    return network;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Every connection is reset; new ones pass. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  /** New connections are closed at once until `mend`. */
  refuse(): void {
    this.isRefusing = true;
  }

  /** What is connected now stays so, and nothing passes through it ever again. */
  freeze(): void {
    for (const socket of this.sockets) {
      this.frozen.add(socket);
      socket.pause();
    }
  }

  /** Each piece arrives `ms` later, until `mend`. */
  slow(ms: number): void {
    this.delayMs = ms;
  }

  /** So many more bytes pass, in the middle of whatever it is, then every connection is reset; once. */
  cutAfter(bytes: number): void {
    this.bytesLeft = bytes;
  }

  /** Takes back what was ordered. What was cut stays cut, what was frozen stays frozen. */
  mend(): void {
    this.isRefusing = false;
    this.delayMs = 0;
    this.bytesLeft = Number.POSITIVE_INFINITY;
  }

  close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private accept(near: Socket): void {
    if (this.isRefusing) {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ host: HOST, port: this.targetPort(), noDelay: true });
    near.setNoDelay(true);
    this.join(near, far);
    this.join(far, near);
  }

  private join(from: Socket, to: Socket): void {
    this.sockets.add(from);
    from.on('error', () => {}); // 'close' follows
    from.on('close', () => {
      this.sockets.delete(from);
      if (!this.frozen.has(to)) to.destroy();
    });
    from.on('data', (chunk: Buffer) => this.pass(chunk, from, to));
  }

  private pass(chunk: Buffer, from: Socket, to: Socket): void {
    this.bytesLeft -= chunk.length;
    if (this.bytesLeft < 0) {
      to.write(chunk.subarray(0, chunk.length + this.bytesLeft));
      this.bytesLeft = Number.POSITIVE_INFINITY;
      this.cut();
      return;
    }
    if (this.delayMs === 0) this.forward(chunk, from, to);
    else {
      from.pause();
      systemClock.after(this.delayMs, () => {
        this.forward(chunk, from, to);
        this.thaw(from);
      });
    }
  }

  private forward(chunk: Buffer, from: Socket, to: Socket): void {
    if (to.destroyed || to.write(chunk)) return;
    from.pause();
    to.once('drain', () => this.thaw(from));
  }

  private thaw(socket: Socket): void {
    if (!this.frozen.has(socket)) socket.resume();
  }
}
