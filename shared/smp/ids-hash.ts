/** The hash by which two sides compare which queues a service has: exclusive-or of MD5(notifierId) (Appendix 2). */
import type { Crypto } from '../crypto/crypto.js';
import type { Bytes } from '../encoding/bytes.js';

/** Puts an id into the hash (`IDS_HASH_SIZE` bytes, at first zeros), or takes it out again. */
export function toggleId(crypto: Pick<Crypto, 'md5'>, hash: Uint8Array, notifierId: Bytes): void {
  for (const [i, byte] of crypto.md5(notifierId).entries()) hash[i]! ^= byte;
}
