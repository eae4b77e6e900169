/**
 * Keys of the hashes by which gateways find each other's counts in Redis. All derive the same ones from a root in
 * the state folder that they share, a new one each UTC day; Redis never has the root, nor what was hashed.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { utf8, wipe } from '../../../shared/encoding/bytes.js';
import type { Secret } from '../../../shared/run/secret.js';

export const DAY_MS = 24 * 3_600_000;
const KEY_SIZE = 32;
const EMPTY = new Uint8Array(0);
const NONCE_INFO = 'porchlight shared nonces v1';
const DAY_INFO = 'porchlight shared limits v1 ';
/** Today's, yesterday's, and tomorrow's where a clock was ahead. */
const KEPT = 3;

export class DayKeys {
  /** Nonces are random, so their hashes tell nothing that a day would have to end. */
  readonly nonces: Uint8Array;
  private readonly crypto: Crypto;
  private readonly root: Secret;
  private readonly days = new Map<number, Uint8Array>();

  constructor(crypto: Crypto, root: Secret) {
    this.crypto = crypto;
    this.root = root;
    this.nonces = this.derive(NONCE_INFO);
  }

  /** @param day days since the Unix epoch */
  of(day: number): Uint8Array {
    const known = this.days.get(day);
    if (known !== undefined) return known;
    const key = this.derive(DAY_INFO + day);
    this.days.set(day, key);
    for (const [old, dropped] of this.days) {
      if (this.days.size <= KEPT) break;
      wipe(dropped);
      this.days.delete(old);
    }
    return key;
  }

  close(): void {
    wipe(this.nonces, ...this.days.values());
    this.days.clear();
  }

  private derive(info: string): Uint8Array {
    return this.crypto.hkdfSha256(EMPTY, this.root.bytes, utf8(info), KEY_SIZE);
  }
}
