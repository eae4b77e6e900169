/**
 * The last question before a frame is rendered: may this device be woken now, and does another gateway have this
 * frame already? One gateway answers from its own memory at once; several answer through Redis.
 */
import type { FrameKind, Outcome } from '../../../shared/relay/batch.js';
import type { OpenCapability } from '../capabilities/capability.js';
import { later } from '../push/outcomes.js';
import type { DeviceLimits } from './devices.js';

/** What a gate must know of a frame; `open` stays readable until the answer has been given. */
export interface AskedFrame {
  /** 16 bytes, random, in the subscriber's own name space. */
  readonly id: Uint8Array;
  readonly open: OpenCapability;
  /** Whose limits it counts in. */
  readonly kind: FrameKind;
  /** To be called when a proven device is seen for the first time today. */
  readonly onNew: () => void;
}

/** Told how a frame ended that the gate let through. */
export type Told = (outcome: Outcome) => void;

/** The outcome of a frame that ends here; for one that goes on, who wants to hear its outcome. */
export type GateAnswer = Outcome | Told;

export interface FrameGate {
  /** Takes one push from the device's limits. `answer` is called exactly once, perhaps before this returns. */
  pass(asked: AskedFrame, answer: (answer: GateAnswer) => void): void;
  /** Apple knows no phone by this unproven token: what is remembered of it makes room first. */
  forget(open: OpenCapability): void;
}

const nobody: Told = () => {};

/** Device limits in memory. Frame ids that this gateway saw are remembered before a frame comes here. */
export class MemoryGate implements FrameGate {
  private readonly devices: DeviceLimits;

  constructor(devices: DeviceLimits) {
    this.devices = devices;
  }

  pass({ open, kind, onNew }: AskedFrame, answer: (answer: GateAnswer) => void): void {
    const refusal = this.devices.take(open, kind, onNew);
    answer(refusal === undefined ? nobody : later(refusal.reason, refusal.afterSeconds));
  }

  forget(open: OpenCapability): void {
    this.devices.forget(open);
  }
}
