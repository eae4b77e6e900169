/**
 * Nonces that all gateways know: a signed request that was sent to one is no good at another. Each first asks its own
 * memory, which also bounds what one subscriber may leave in Redis.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { toBase64url } from '../../../shared/encoding/base64url.js';
import type { Bytes } from '../../../shared/encoding/bytes.js';
import { NONCE_LIFE_SECONDS } from '../../../shared/relay/signature.js';
import type { NonceAnswer, NonceMemory, NonceQuota, Nonces } from '../limits/nonces.js';
import type { DayKeys } from './day-keys.js';
import type { RedisLink } from './link.js';

const HASH_SIZE = 18;

export interface RedisNoncesOptions {
  readonly crypto: Crypto;
  readonly link: RedisLink;
  readonly keys: DayKeys;
  readonly prefix: string;
  readonly own: Nonces;
}

export class RedisNonces implements NonceMemory {
  private readonly options: RedisNoncesOptions;

  constructor(options: RedisNoncesOptions) {
    this.options = options;
  }

  get size(): number {
    return this.options.own.size;
  }

  add(signer: Bytes, nonce: Bytes, quota: NonceQuota, now: number): NonceAnswer | Promise<NonceAnswer> {
    const { own, link } = this.options;
    const known = own.add(signer, nonce, quota, now);
    return known === 'new' && link.isUp ? this.ask(signer, nonce) : known;
  }

  /** Without an answer what this gateway itself knows must do. */
  private async ask(signer: Bytes, nonce: Bytes): Promise<NonceAnswer> {
    const { crypto, link, keys, prefix } = this.options;
    const hash = crypto.hmacSha256(keys.nonces, signer, nonce).subarray(0, HASH_SIZE);
    const key = `${prefix}n:${toBase64url(hash)}`;
    const isNew = await link.ask('nonce', (client) => client.claim(key, NONCE_LIFE_SECONDS + 1));
    return isNew === false ? 'seen' : 'new';
  }
}
