/** What the subscriber knows of one registration, as the other parts see it. Its secrets live in pooled memory. */

import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import type { Environment } from '../../../shared/relay/identity.js';

/** Token states of guide H.3; `NEW` and `EXPIRED` are never produced. */
export type TokenStatus = 'registered' | 'confirmed' | 'active' | 'invalid';
export type InvalidReason = 'bad' | 'topic' | 'expired' | 'unregistered';

/** Where a device's pushes go; `none` succeeds without sending (provider `AN`). */
export type DeviceEnvironment = Environment | 'none';

export interface Device {
  /** Small number, unique while the device is registered. */
  readonly slot: number;
  /** Name of the listener it registered at: one app of one gateway. */
  readonly listener: string;
  readonly environment: DeviceEnvironment;
  /** 24 random bytes. */
  readonly tokenId: Uint8Array;
  /** Authorises the device's commands. */
  readonly verifyKey: Key<AuthAlgorithm>;
  /** Our X25519 public key for this device (32): a repeated TNEW returns the same. */
  readonly serverDhPublicKey: Uint8Array;
  /** X25519 shared with the phone (32): constant for the life of the registration, also across TRPL. */
  readonly dhSecret: Uint8Array;
  /** Keyed hash of provider and token (32), under a key random per process. */
  readonly tokenHash: Uint8Array;
  readonly status: TokenStatus;
  readonly invalidReason: InvalidReason | undefined;
  /** Raised by TRPL and removal: an outcome of an older generation only counts in metrics (design §5). */
  readonly generation: number;
  /** Minutes between periodic checks; 0 = off. */
  readonly checkMinutes: number;
  /** How many subscriptions it holds. */
  readonly subscriptions: number;
}

/** Everything a new registration brings. The registry copies the secrets. */
export interface Registration {
  readonly listener: string;
  readonly environment: DeviceEnvironment;
  readonly tokenHash: Uint8Array;
  readonly verifyKey: Key<AuthAlgorithm>;
  readonly serverDhPublicKey: Uint8Array;
  readonly dhSecret: Uint8Array;
  /** relay.md §3, 229 bytes; absent for `none`. */
  readonly sealedToken?: Uint8Array;
}
