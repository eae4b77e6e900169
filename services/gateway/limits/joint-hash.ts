/** A keyed hash over parts, one after another. They are joined in one place, device tokens too, which is overwritten. */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';

export class JointHash {
  private readonly crypto: Pick<Crypto, 'keyedHash'>;
  private readonly scratch: Uint8Array;

  /** @param most bytes of all parts together */
  constructor(crypto: Pick<Crypto, 'keyedHash'>, most: number) {
    this.crypto = crypto;
    this.scratch = new Uint8Array(most);
  }

  /** 16 bytes under `key` (32). Throws `RangeError` where the parts are longer than was said. */
  of(key: Bytes, ...parts: readonly Bytes[]): Uint8Array {
    let length = 0;
    for (const part of parts) {
      this.scratch.set(part, length);
      length += part.length;
    }
    const used = this.scratch.subarray(0, length);
    const hash = this.crypto.keyedHash(key, used);
    wipe(used);
    return hash;
  }
}
