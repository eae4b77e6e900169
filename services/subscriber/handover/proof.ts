/**
 * Both sides of a hand-over prove that they have the subscriber's identity key: an Ed25519 signature over both nonces
 * and the format, under a label of its own for each side and for this purpose, so that no signature serves another.
 */
import type { Crypto, KeyPair } from '../../../shared/crypto/crypto.js';
import { concat, utf8 } from '../../../shared/encoding/bytes.js';

export type Side = 'successor' | 'predecessor';

export interface Exchange {
  readonly format: number;
  readonly successorNonce: Uint8Array;
  readonly predecessorNonce: Uint8Array;
}

const signed = (side: Side, { format, successorNonce, predecessorNonce }: Exchange): Uint8Array =>
  concat(
    utf8(`porchlight hand-over ${side}\0`),
    Uint8Array.of(format >>> 8, format & 0xff),
    successorNonce,
    predecessorNonce,
  );

export const sign = (crypto: Crypto, identity: KeyPair, side: Side, exchange: Exchange): Uint8Array =>
  crypto.ed25519Sign(identity.privateKey, signed(side, exchange));

/** Whether `side` signed with the key that is ours too. */
export const verify = (
  crypto: Crypto,
  identity: KeyPair,
  side: Side,
  exchange: Exchange,
  signature: Uint8Array,
): boolean => crypto.ed25519Verify(identity.publicKey, signed(side, exchange), signature);
