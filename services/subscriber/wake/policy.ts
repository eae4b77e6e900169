/** Which push a device gets next, and what it looks like to the gateway. Pure tables and functions. */
import type { FrameKind } from '../../../shared/relay/batch.js';
import { RATES, type Rate } from './budget.js';

/** `alert` belongs to a mode of its own that stock clients don't need. */
export type PushKind = Exclude<FrameKind, 'alert'>;
/** In order of preference where several may be sent. */
export const PUSH_KINDS = ['verification', 'message', 'check'] as const satisfies readonly PushKind[];

export interface PushRule {
  readonly rate: Rate;
  /** Priority 10; background pushes never are. */
  readonly urgent: boolean;
  /** 0 = no collapse id: banners must not replace each other. */
  readonly slot: number;
  /** After this time the push is worthless. */
  readonly lifeSeconds: number;
}

const HOUR = 3600;
const DAY = 24 * HOUR;

/** Mode `mutable` (design §5). */
export const PUSH_RULES: Readonly<Record<PushKind, PushRule>> = {
  /** An unverified registration lives a day. */
  verification: { rate: RATES.verification, urgent: false, slot: 1, lifeSeconds: DAY },
  /** Messaging servers keep messages for 21 days. */
  message: { rate: RATES.mutable, urgent: true, slot: 0, lifeSeconds: 21 * DAY },
  check: { rate: RATES.silent, urgent: false, slot: 1, lifeSeconds: HOUR },
};

/** From when on each kind may be sent, monotonic milliseconds; `Infinity` where there is nothing to send. */
export type Readiness = Readonly<Record<PushKind, number>>;

/** The kind to send now, or how long to wait at most. */
export function choose(ready: Readiness, now: number): { send: PushKind } | { waitUntil: number } {
  const send = PUSH_KINDS.find((kind) => ready[kind] <= now);
  return send === undefined ? { waitUntil: Math.min(...PUSH_KINDS.map((kind) => ready[kind])) } : { send };
}
