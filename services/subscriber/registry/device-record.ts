/**
 * One registration: the small facts as an object, identifiers and secrets in a pooled row outside the JavaScript
 * heap that is overwritten when the record goes. A million subscriptions belong to some 20,000 of these.
 */
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import type { Waiting } from '../../../shared/memory/deadlines.js';
import { NO_ROW } from '../../../shared/memory/id-index.js';
import type { Slab } from '../../../shared/memory/slab.js';
import type { Device, DeviceEnvironment, InvalidReason, Registration, TokenStatus } from './device.js';
import { type DeviceState, DH_SIZE, TOKEN_HASH_SIZE, TOKEN_ID_SIZE } from './device-state.js';

/** Ed448 has the longest keys. */
const MAX_KEY_SIZE = 57;

/** Where things stand in a row. */
export const AT = { tokenId: 0, tokenHash: 24, serverDh: 56, dhSecret: 88, verifyKey: 120 } as const;
export const DEVICE_ROW_BYTES = AT.verifyKey + MAX_KEY_SIZE;

export class DeviceRecord implements Device, Waiting {
  readonly slot: number;
  readonly listener: string;
  environment: DeviceEnvironment;
  status: TokenStatus = 'registered';
  invalidReason: InvalidReason | undefined = undefined;
  generation = 0;
  checkMinutes = 0;
  subscriptions = 0;
  /** The code came back once: lives by the 30-day rule and may hold subscriptions. */
  isProven = false;
  /** First row of its subscriptions. */
  firstSubscription = NO_ROW;
  /** The 24 hours in which `newServers` counts began (monotonic ms). */
  serversSince = Number.NEGATIVE_INFINITY;
  newServers = 0;
  /** Already encrypted for the gateway. */
  sealedToken: Uint8Array | undefined;
  dueAt = 0;
  place = -1;
  isGone = false;

  /** Not shown where an object gets printed. */
  readonly #rows: Slab;
  private readonly algorithm: AuthAlgorithm;
  private readonly keySize: number;

  constructor(rows: Slab, slot: number, tokenId: Uint8Array, registration: Registration) {
    this.#rows = rows;
    this.slot = slot;
    this.listener = registration.listener;
    this.environment = registration.environment;
    this.sealedToken = registration.sealedToken?.slice();
    this.algorithm = registration.verifyKey.algorithm;
    this.keySize = registration.verifyKey.raw.length;
    this.part('tokenId', TOKEN_ID_SIZE).set(tokenId);
    this.part('serverDh', DH_SIZE).set(registration.serverDhPublicKey);
    this.part('dhSecret', DH_SIZE).set(registration.dhSecret);
    this.part('verifyKey', MAX_KEY_SIZE).set(registration.verifyKey.raw);
    this.setTokenHash(registration.tokenHash);
  }

  get tokenId(): Uint8Array {
    return this.part('tokenId', TOKEN_ID_SIZE);
  }

  get tokenHash(): Uint8Array {
    return this.part('tokenHash', TOKEN_HASH_SIZE);
  }

  get serverDhPublicKey(): Uint8Array {
    return this.part('serverDh', DH_SIZE);
  }

  get dhSecret(): Uint8Array {
    return this.part('dhSecret', DH_SIZE);
  }

  get verifyKey(): Key<AuthAlgorithm> {
    return { algorithm: this.algorithm, raw: this.part('verifyKey', this.keySize) };
  }

  /** All of it, for a successor. Arrays are views. */
  get state(): DeviceState {
    const { slot, listener, environment, status, invalidReason, generation, checkMinutes, isProven } = this;
    const { serversSince, newServers, dueAt, tokenId, tokenHash, serverDhPublicKey, dhSecret } = this;
    return {
      ...{ slot, listener, environment, status, invalidReason, generation, checkMinutes, isProven },
      ...{ serversSince, newServers, dueAt, tokenId, tokenHash, serverDhPublicKey, dhSecret },
      ...{ verifyKey: this.verifyKey, sealedToken: this.sealedToken },
    };
  }

  setTokenHash(hash: Bytes): void {
    this.tokenHash.set(hash);
  }

  dropSealedToken(): void {
    wipe(this.sealedToken);
    this.sealedToken = undefined;
  }

  /** Overwrites the secrets and gives the row back. Outcomes still under way find a higher generation. */
  release(): void {
    this.generation++;
    this.dropSealedToken();
    this.#rows.free(this.slot);
    this.isGone = true;
  }

  /** A view into the pooled row; zeros once the record is gone, for its row may be another's by then. */
  private part(name: keyof typeof AT, length: number): Uint8Array {
    return this.isGone ? new Uint8Array(length) : this.#rows.bytes(this.slot, AT[name], length);
  }
}
