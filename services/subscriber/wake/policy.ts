/** Which push a device gets next, and what it looks like to the gateway. Pure tables and functions. */
import type { SignalClass } from '../../../shared/push/porchlight-profile.js';
import type { FrameKind } from '../../../shared/relay/batch.js';
import type { ProfileName } from '../../../shared/relay/constants.js';
import { RATES, type Rate } from './budget.js';

/** What pushes look like to Apple (design §5). */
export type Mode = 'mutable' | 'background' | 'alert';

/**
 * In order of preference where several may be sent. `message`: visible, rewritten by the app · `silent`: wakes the
 * app and shows nothing · `alert`: visible and empty.
 */
export const PUSH_KINDS = ['verification', 'message', 'silent', 'alert'] as const;
export type PushKind = (typeof PUSH_KINDS)[number];

export interface PushRule {
  readonly rate: Rate;
  /** Priority 10; background pushes never are. */
  readonly urgent: boolean;
  /** 0 = no collapse id: banners must not replace each other. */
  readonly slot: number;
}

export const PUSH_RULES: Readonly<Record<PushKind, PushRule>> = {
  verification: { rate: RATES.verification, urgent: false, slot: 1 },
  message: { rate: RATES.mutable, urgent: true, slot: 0 },
  silent: { rate: RATES.silent, urgent: false, slot: 1 },
  alert: { rate: RATES.alert, urgent: true, slot: 1 },
};

const MODE_KINDS: Readonly<Record<Mode, readonly PushKind[]>> = {
  mutable: ['message'],
  background: ['silent'],
  alert: ['silent', 'alert'],
};

/** The kinds of push in which signals are told; nothing is ever shown for an `update`. */
export const newsKinds = (mode: Mode, signalClass: SignalClass): readonly PushKind[] =>
  MODE_KINDS[signalClass === 'update' ? 'background' : mode];

/**
 * The frame of a push (relay.md §6). Stock apps know one silent push, which says "look everywhere"; in profile
 * `porchlight` it is a message of urgency 0, which that profile's gateway sends in the background.
 */
export function frameKind(kind: PushKind, profile: ProfileName): FrameKind {
  if (kind !== 'silent') return kind;
  return profile === 'simplex' ? 'check' : 'message';
}

const HOUR = 3600;
const DAY = 24 * HOUR;
/** Messaging servers keep messages for 21 days. */
const NEWS_LIFE_SECONDS = 21 * DAY;

/** After how many seconds a push is worthless. @param isNews it tells signals or flags, which come only once */
export function lifeSeconds(kind: PushKind, isNews: boolean): number {
  // An unverified registration lives a day, and so does the wish to look at an empty banner.
  if (kind === 'verification' || kind === 'alert') return DAY;
  return isNews ? NEWS_LIFE_SECONDS : HOUR;
}

/** From when on each kind may be sent, monotonic milliseconds; `Infinity` where there is nothing to send. */
export type Readiness = Readonly<Record<PushKind, number>>;

/** The kind to send now, or how long to wait at most. */
export function choose(ready: Readiness, now: number): { send: PushKind } | { waitUntil: number } {
  const send = PUSH_KINDS.find((kind) => ready[kind] <= now);
  return send === undefined ? { waitUntil: Math.min(...PUSH_KINDS.map((kind) => ready[kind])) } : { send };
}
