/** Random bytes drawn in bulk: one call to the system's generator costs as much for 24 bytes as for a kilobyte. */
import { randomFillSync } from 'node:crypto';
import { secretBytes } from './memory.js';

const POOL_SIZE = 8192;
const LARGEST_FROM_POOL = 256;

export class RandomPool {
  private readonly pool = secretBytes(POOL_SIZE);
  private next = POOL_SIZE;

  /** `n` bytes that nobody else gets. The pool forgets what it hands out. */
  take(n: number): Uint8Array {
    const out = secretBytes(n);
    if (n > LARGEST_FROM_POOL) return randomFillSync(out);
    if (this.next + n > POOL_SIZE) {
      randomFillSync(this.pool);
      this.next = 0;
    }
    const end = this.next + n;
    out.set(this.pool.subarray(this.next, end));
    this.pool.fill(0, this.next, end);
    this.next = end;
    return out;
  }
}
