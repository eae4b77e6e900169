/** The wake engine as its neighbours see it: signals and registrations in, pushes out at the gateway link. */
import type { Device } from '../registry/device.js';

/** Answer to a registration code: `unreachable` is never an `ERR AUTH` (design §4.1). */
export type ProofResult = 'proven' | 'wrong' | 'unreachable';

export interface WakeEngine {
  /** A message waits in the queue `ref` of this device. Copies what it keeps. */
  signal(device: Device, ref: number, nonce: Uint8Array, metadata: Uint8Array): void;
  /** The device wants a verification push (TNEW, repeated TNEW, TRPL): obtains a capability first where needed. */
  verify(device: Device): void;
  /** Lets the gateway judge a code that the client returned; `proven` makes the device ACTIVE and sends what waits. */
  prove(device: Device, code: Uint8Array): Promise<ProofResult>;
  /** The interval of periodic checks changed (TCRN). */
  checksChanged(device: Device): void;
  /** The queue `ref` is no longer this device's: its entry in the mailbox is dropped. */
  dropQueue(device: Device, ref: number): void;
  /** The device is gone: timers stopped, mailbox and capability overwritten. */
  forget(device: Device): void;
}
