/** Devices and subscriptions: all that the subscriber remembers, in memory only. No I/O. */
import type { FollowStatus } from '../sources/source.js';
import type { Device, DeviceEnvironment, InvalidReason, Registration, TokenStatus } from './device.js';

/** One queue of one device. */
export interface Subscription {
  /** 24 random bytes. */
  readonly id: Uint8Array;
  readonly device: Device;
  readonly status: FollowStatus;
  /** Number by which source and wake engine refer to it. */
  readonly ref: number;
}

/**
 * Result of subscribing. `taken`: another registration's subscription of this queue is confirmed, or this device
 * has it with another key, or the device was never proven and may hold none (design §4.1). `prohibited`: the address may not be dialled. `servers`: too many new servers today.
 * `full`: no room (per device or in all).
 */
export type SubscribeResult =
  | { readonly subscription: Subscription; readonly isNew: boolean }
  | { readonly refused: 'taken' | 'prohibited' | 'servers' | 'full' };

export interface DeviceRegistry {
  /** A new device in status `registered`; undefined when there is no room even after evicting unverified ones. */
  register(registration: Registration): Device | undefined;
  deviceById(tokenId: Uint8Array): Device | undefined;
  /** The registration with the same listener, token and key: a repeated TNEW. */
  deviceByRegistration(listener: string, tokenHash: Uint8Array, verifyKey: Uint8Array): Device | undefined;
  /**
   * A repeated TNEW brings the same token sealed anew, for when the device's capability is lost or refused
   * (design §4.1). A device that is `invalid` is `registered` again; any other status stays.
   */
  resealToken(device: Device, sealedToken: Uint8Array): void;
  /** TRPL: the new token in place of the old; false where another registration has it with the same key. */
  replaceToken(
    device: Device,
    token: { tokenHash: Uint8Array; environment: DeviceEnvironment; sealedToken?: Uint8Array },
  ): boolean;
  /** Forgets a device, its subscriptions, its mailbox and secrets. */
  remove(device: Device): void;
  /** After a successful proof: forgets the other registrations of the same token at the same listener. */
  removeOthers(device: Device): void;
  /** The device's client has been here: its record lives another 30 days. */
  touch(device: Device): void;
  setCheckMinutes(device: Device, minutes: number): void;
}

/** @typeParam Address what a source listens at */
export interface SubscriptionRegistry<Address, Credentials> {
  /** Idempotent for the same device, address and credentials. */
  subscribe(device: Device, address: Address, credentials: Credentials): SubscribeResult;
  subscriptionById(id: Uint8Array): Subscription | undefined;
  unsubscribe(subscription: Subscription): void;
}

/** What the wake engine asks of the registry, and how it changes a device's standing. */
export interface DeviceStates {
  setStatus(device: Device, status: TokenStatus, reason?: InvalidReason): void;
  /** The token sealed for the gateway, as long as it may be needed: a view. */
  sealedToken(device: Device): Uint8Array | undefined;
  /** Overwrites it: a capability is held instead, or the gateway won't take it. */
  dropSealedToken(device: Device): void;
  /** After a successful proof: forgets the other registrations of the same token at the same listener. */
  removeOthers(device: Device): void;
}

/** Where followed queues are. @typeParam Address what a source listens at */
export interface QueuePlaces<Address> {
  /** The address as the client spelt it. Arrays are views. */
  address(ref: number): Address;
  /** A number for its server, the same for all queues there. */
  server(ref: number): number;
  /** The id by which its client knows the subscription. */
  subscriptionId(ref: number): Uint8Array;
  /** Whether its device follows queues at no other server, as far as its newest subscriptions tell. */
  isOnlyServer(ref: number): boolean;
}

/** What happens to a device and its queues; told at once. The wake engine listens. */
export interface DeviceEvents {
  /** A message waits in the queue `ref` of this device. The arrays are views: copy what is kept. */
  signal(device: Device, ref: number, nonce: Uint8Array, metadata: Uint8Array): void;
  /** Signals for this device may have been destroyed (design §3). */
  maybeMissed(device: Device): void;
  /** The queue `ref` is no longer this device's. */
  dropQueue(device: Device, ref: number): void;
  /** The device is gone. */
  forget(device: Device): void;
}

/** What the registry must know of a source's addresses. Pure functions. */
export interface AddressForm<Address> {
  /** Bytes that name the queue: equal bytes mean the same queue. */
  encode(address: Address): Uint8Array;
  /** A number for its server, for fairness between servers only. */
  serverOf(address: Address): number;
}
