/**
 * Keys of profile `porchlight`: one for messages and one for verification, both from the secret that phone and
 * subscriber share, so that the key of one verification box opens and forges nothing else (relay.md §5).
 */
import type { Crypto } from '../crypto/crypto.js';
import { type Bytes, utf8 } from '../encoding/bytes.js';

/** SHA-512, since the phone's side has it in plain JavaScript. */
export type PushKeyCrypto = Pick<Crypto, 'hkdfSha512'>;

const KEY_SIZE = 32;
const NO_SALT = new Uint8Array(0);
const MESSAGE = utf8('porchlight message v1');
const VERIFICATION = utf8('porchlight verification v1');

/** The secretbox key of messages. @param secret X25519 of phone and subscriber, 32 bytes */
export const messageKey = (crypto: PushKeyCrypto, secret: Bytes): Uint8Array =>
  crypto.hkdfSha512(NO_SALT, secret, MESSAGE, KEY_SIZE);

/** The secretbox key of verification codes; HSalsa20 of it and a nonce is the key `m` of one box. */
export const verificationKey = (crypto: PushKeyCrypto, secret: Bytes): Uint8Array =>
  crypto.hkdfSha512(NO_SALT, secret, VERIFICATION, KEY_SIZE);
