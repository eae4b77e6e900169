/**
 * Collects blocks from a stream, whatever its records are (guide B.6). Clients' device tokens pass through here in
 * clear, so what is read is overwritten: each chunk by its owner once it is used up, the block by `clear`.
 */
import type { Bytes } from '../../../shared/encoding/bytes.js';

export class BlockBuffer {
  /** The block; whole only when `full`. */
  readonly bytes: Uint8Array;
  private filled = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  get full(): boolean {
    return this.filled === this.bytes.length;
  }

  /** Copies what still fits; returns how many bytes of the chunk that were. */
  fill(chunk: Bytes): number {
    const part = chunk.subarray(0, this.bytes.length - this.filled);
    this.bytes.set(part, this.filled);
    this.filled += part.length;
    return part.length;
  }

  /** Overwrites the block and starts the next one. */
  clear(): void {
    this.bytes.fill(0);
    this.filled = 0;
  }
}
