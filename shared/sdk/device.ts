/**
 * One registration as the phone keeps it (guide I.2): which command comes next, and what its answer means. Values
 * in, values out; keys come from the caller, nothing is sent here.
 */

import type { KeyPair } from '../crypto/crypto.js';
import type { Bytes } from '../encoding/bytes.js';
import { sameBytes } from '../encoding/bytes.js';
import type { DeviceToken } from '../ntf/commands.js';
import type { NtfTokenStatus } from '../ntf/responses.js';
import type { SdkCrypto } from './nacl.js';

/** What was begun and not finished; it comes first when the app starts again. */
export type PendingAction =
  | { readonly kind: 'verify'; readonly code: Uint8Array }
  | { readonly kind: 'check' };

export interface Device {
  readonly token: DeviceToken;
  /** Ed25519: authorises every command of this registration. */
  readonly authKey: KeyPair;
  /** X25519: its secret with the subscriber opens pushes. */
  readonly dhKey: KeyPair;
  /** Absent until TNEW was answered. */
  readonly registered?: { readonly tokenId: Uint8Array; readonly dhSecret: Uint8Array };
  readonly status: NtfTokenStatus['kind'];
  readonly pending?: PendingAction;
  /** A verification push is due: TNEW or TRPL was sent, and its code has not come back yet. */
  readonly waiting: boolean;
}

/** A device with new keys that nobody knows yet. */
export const newDevice = (crypto: SdkCrypto, token: DeviceToken): Device => ({
  token,
  authKey: crypto.ed25519KeyPair(),
  dhKey: crypto.x25519KeyPair(),
  status: 'NEW',
  waiting: false,
});

export type RegistrationStep =
  /** TNEW, with the keys that the device has: the first time, or to be pushed a code again. */
  | { readonly kind: 'register' }
  /** TRPL with the new token. */
  | { readonly kind: 'replace' }
  | PendingAction;

/** The command with which `register` goes on (guide I.2, the table). */
export function registrationStep(device: Device, token: DeviceToken): RegistrationStep {
  if (device.registered === undefined) return { kind: 'register' };
  if (!sameToken(device.token, token)) return { kind: 'replace' };
  return device.pending ?? { kind: 'register' };
}

const sameToken = (a: DeviceToken, b: DeviceToken): boolean =>
  a.provider === b.provider && sameBytes(a.text, b.text);

/** TNEW was answered: a code is on its way; instant notifications stop until it has come back. */
export function registered(
  crypto: SdkCrypto,
  device: Device,
  answer: { readonly tokenId: Bytes; readonly dhKey: Bytes },
): Device {
  const dhSecret = crypto.x25519(device.dhKey.privateKey, answer.dhKey);
  const { pending: _, ...rest } = device;
  return {
    ...rest,
    registered: { tokenId: answer.tokenId.slice(), dhSecret },
    status: 'REGISTERED',
    waiting: true,
  };
}

/** TRPL was answered: as after TNEW; id, keys and secret stay. */
export function replaced(device: Device, token: DeviceToken): Device {
  const { pending: _, ...rest } = device;
  return { ...rest, token, status: 'REGISTERED', waiting: true };
}

export const withPending = (device: Device, pending: PendingAction): Device => ({ ...device, pending });

/** TVFY was answered with OK. */
export function verified(device: Device): Device {
  const { pending: _, ...rest } = device;
  return { ...rest, status: 'ACTIVE', waiting: false };
}

/** TCHK was answered; whatever the status is, nothing is pending any more. */
export function checked(device: Device, status: NtfTokenStatus): Device {
  const { pending: _, ...rest } = device;
  return { ...rest, status: status.kind, waiting: device.waiting && status.kind !== 'ACTIVE' };
}
