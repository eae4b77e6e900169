/** The wake engine as its neighbours see it: signals and registrations in, pushes out at the gateway link. */
import type { Device } from '../registry/device.js';
import type { DeviceEvents } from '../registry/registry.js';
import type { BurnProgress } from './burning.js';
import type { Watcher } from './milestones.js';
import type { PagerState } from './pager-state.js';

/** Answer to a registration code: `unreachable` is never an `ERR AUTH` (design §4.1). */
export type ProofResult = 'proven' | 'wrong' | 'unreachable';

export interface WakeEngine extends DeviceEvents {
  /** The device wants a verification push (TNEW, repeated TNEW, TRPL): obtains a capability first where needed. */
  verify(device: Device): void;
  /** The device is about to be removed at its own wish: its capability is revoked, as far as the gateway can be reached. */
  giveUp(device: Device): void;
  /** Lets the gateway judge a code that the client returned; `proven` makes the device ACTIVE and sends what waits. */
  prove(device: Device, code: Uint8Array): Promise<ProofResult>;
  /** The interval of periodic checks changed (TCRN). */
  checksChanged(device: Device): void;
  /** Tells the milestones of one queue's signals until it is called off; undefined where there is no room. */
  watch(ref: number, watcher: Watcher): (() => void) | undefined;
  /** Revokes all proven capabilities, for as long as somebody waits for it; their devices can't be woken any more. */
  burn(say: (progress: BurnProgress) => void, gone: AbortSignal): Promise<BurnProgress>;
  /** Under which proven codes are remembered: a view, which a successor fills with its predecessor's. */
  readonly secretKey: Uint8Array;
  /** What is known of every device, for a successor; arrays are views, gone with the next. */
  states(): Iterable<PagerState>;
  /** Takes over what a predecessor knew of a device. Nothing is sent before `begin`. */
  restore(device: Device, state: PagerState): void;
  begin(): void;
  /** Stops all timers and overwrites what is held of every device. */
  close(): void;
}
