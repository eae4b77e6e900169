/** How the devices of one listener are pushed: the gateway's lane, and the listener's choices. */
import type { SignalClass } from '../../../shared/push/porchlight-profile.js';
import type { ProfileName } from '../../../shared/relay/constants.js';
import type { Lane } from './lane.js';
import type { Mode } from './policy.js';

/** The choices of a listener (design §4.1). */
export interface PushStyle {
  /** What the phone's app expects in a push. */
  readonly profile: ProfileName;
  /** What the pushes look like to Apple. */
  readonly mode: Mode;
  /** What kind of thing its signals are. */
  readonly class: SignalClass;
  /** Signals within this time after a push ride in the next one. */
  readonly coalesceMs: number;
  /** A signal waits for a random part of this time, so that it is harder to link to its push. */
  readonly delayMs: number;
}

export interface Route extends PushStyle {
  readonly lane: Lane;
  /** Whether the device of this queue follows no other server than the queue's. */
  readonly isOnlyServer: (ref: number) => boolean;
  /** Whether devices in the gateway's test environment have budgets as all others do. */
  readonly testBudgets: boolean;
}
