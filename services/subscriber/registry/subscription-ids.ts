/**
 * Subscription ids that need no storage: 24 bytes, pseudo-random under a key of this process, from which the row
 * can be found again. A stored id with an index on it would cost 32 bytes a subscription, at a million of them.
 *
 *     tag[20] = HMAC(key, row ‖ serial)        the serial tells apart those who have the same row in turn
 *     id      = tag ‖ (row XOR HMAC(key, tag)[0..4])
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, concat } from '../../../shared/encoding/bytes.js';

export const SUBSCRIPTION_ID_SIZE = 24;
const TAG_SIZE = 20;
export const ID_KEY_SIZE = 32;

export class SubscriptionIds {
  private readonly crypto: Crypto;
  /** A successor goes on with its predecessor's. */
  readonly key: Uint8Array;

  constructor(crypto: Crypto) {
    this.crypto = crypto;
    this.key = crypto.randomBytes(ID_KEY_SIZE);
  }

  /** The id of the subscription with this row and serial. */
  issue(row: number, serial: number): Uint8Array {
    const tag = this.tag(row, serial);
    return concat(tag, u32(row ^ this.mask(tag)));
  }

  /** The row that an id names; undefined where it has the wrong length. Only `isFor` tells whether it is genuine. */
  row(id: Bytes): number | undefined {
    if (id.length !== SUBSCRIPTION_ID_SIZE) return undefined;
    const masked = new DataView(id.buffer, id.byteOffset + TAG_SIZE, 4).getUint32(0);
    return (masked ^ this.mask(id.subarray(0, TAG_SIZE))) >>> 0;
  }

  /** Whether `id` is the one issued for this row and serial. */
  isFor(id: Bytes, row: number, serial: number): boolean {
    return this.crypto.equal(id.subarray(0, TAG_SIZE), this.tag(row, serial));
  }

  private tag(row: number, serial: number): Uint8Array {
    return this.crypto.hmacSha256(this.key, u32(row), u32(serial)).subarray(0, TAG_SIZE);
  }

  private mask(tag: Bytes): number {
    const mac = this.crypto.hmacSha256(this.key, tag);
    return new DataView(mac.buffer, mac.byteOffset).getUint32(0);
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value >>> 0);
  return bytes;
}
