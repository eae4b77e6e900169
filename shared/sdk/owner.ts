/**
 * The owner key of a native client: it goes with the device token to the gateway, and whoever has it can end all that
 * was granted for that token, at every subscriber. The phone makes and keeps it; nothing else has to know it.
 */
import type { KeyPair } from '../crypto/crypto.js';
import { appTag, type Environment } from '../relay/identity.js';
import { encodeSealedRevocation } from '../relay/revocation.js';
import type { SealingKey } from '../relay/sealed-record.js';
import { type Clock, seconds } from '../run/clock.js';
import { sealingCrypto } from './sealing-crypto.js';

/** A new Ed25519 key pair, for the phone's own protected storage. */
export const createOwnerKey = (): KeyPair => sealingCrypto.ed25519KeyPair();

export interface OwnerRevocation {
  readonly owner: KeyPair;
  /** Of the gateway, from its signed statement. */
  readonly gateway: SealingKey;
  /** Bundle id of the app. */
  readonly topic: string;
  readonly environment: Environment;
  /** The device token: 1 to 100 bytes, decoded from Apple's hex; in the test environment the text as it is. */
  readonly token: Uint8Array;
  /** The phone's; at most a minute ahead of the gateway's, and not a day behind. */
  readonly clock: Clock;
}

/**
 * The owner's sealed revocation (relay.md §6), 293 bytes: ends what was granted up to now for this token under this
 * owner key. Any subscriber of the gateway may bring it there (`POST /v1/capabilities/revoke`), and learns nothing.
 */
export function revoke({ owner, gateway, topic, environment, token, clock }: OwnerRevocation): Uint8Array {
  return encodeSealedRevocation(sealingCrypto, gateway, owner, {
    environment,
    appTag: appTag(sealingCrypto, topic),
    createdAt: seconds(clock),
    token,
  });
}
