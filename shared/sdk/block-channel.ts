/** Blocks of 512 bytes over a byte transport (guide B.6): padding on, padding off, one at a time, with deadlines. */
import { pad, unpad } from '../crypto/box.js';
import type { Bytes } from '../encoding/bytes.js';
import { NTF_BLOCK_SIZE } from '../ntf/constants.js';
import type { Clock } from '../run/clock.js';
import { type ByteTransport, type ConnectionFailure, NtfConnectionError } from './transport.js';

/** Blocks that may have arrived before anyone asked for them. */
const MAX_UNREAD = 64;

interface Reader {
  resolve(content: Uint8Array): void;
  reject(error: NtfConnectionError): void;
}

export class BlockChannel {
  private readonly transport: ByteTransport;
  private readonly clock: Clock;
  private readonly unread: Uint8Array[] = [];
  private block = new Uint8Array(NTF_BLOCK_SIZE);
  private filled = 0;
  private reader: Reader | undefined;
  private failure: ConnectionFailure | undefined;

  constructor(transport: ByteTransport, clock: Clock) {
    this.transport = transport;
    this.clock = clock;
    transport.onData((bytes) => this.take(bytes));
    transport.onClose(() => this.fail('closed'));
  }

  get open(): boolean {
    return this.failure === undefined;
  }

  /** Content of at most 510 bytes. */
  send(content: Bytes): void {
    if (this.open) this.transport.send(pad(content, NTF_BLOCK_SIZE));
  }

  /** Content of the next block. Rejects with `NtfConnectionError`, also when it doesn't come in time. */
  receive(timeoutMs: number): Promise<Uint8Array> {
    const first = this.unread.shift();
    if (first) return Promise.resolve(first);
    if (this.failure !== undefined) return Promise.reject(new NtfConnectionError(this.failure));
    const timer = this.clock.after(timeoutMs, () => this.fail('timeout'));
    return new Promise<Uint8Array>((resolve, reject) => {
      this.reader = { resolve, reject };
    }).finally(() => timer.cancel());
  }

  /** Ends the connection; whoever waits learns why. */
  fail(reason: ConnectionFailure): void {
    if (this.failure !== undefined) return;
    this.failure = reason;
    this.transport.close();
    const { reader } = this;
    this.reader = undefined;
    reader?.reject(new NtfConnectionError(reason));
  }

  private take(bytes: Bytes): void {
    for (let used = 0; used < bytes.length && this.open; ) {
      const part = bytes.subarray(used, used + NTF_BLOCK_SIZE - this.filled);
      this.block.set(part, this.filled);
      this.filled += part.length;
      used += part.length;
      if (this.filled === NTF_BLOCK_SIZE) this.deliver();
    }
  }

  private deliver(): void {
    const content = unpad(this.block);
    this.block = new Uint8Array(NTF_BLOCK_SIZE);
    this.filled = 0;
    const { reader } = this;
    this.reader = undefined;
    if (content === undefined || (!reader && this.unread.length >= MAX_UNREAD)) this.fail('protocol');
    else if (reader) reader.resolve(content);
    else this.unread.push(content);
  }
}
