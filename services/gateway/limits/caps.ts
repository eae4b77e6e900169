/**
 * What the gateway lets through to one device (design §5, relay.md §5), above every subscriber's own budgets.
 * "n an hour" is n at once, then one each nth of an hour.
 */
import type { FrameKind } from '../../../shared/relay/batch.js';
import type { GatewayLimits } from '../../../shared/relay/statement.js';
import { type Limit, perDay, perHour, perSecond } from './gcra.js';

const BACKGROUND_PER_HOUR = 4;
const ALERT_PER_HOUR = 12;
const MUTABLE_BURST = 60;
const MUTABLE_PER_DAY = 2_000;

/** As the statement advertises them. */
export const ADVERTISED_CAPS: GatewayLimits = {
  backgroundPerHour: BACKGROUND_PER_HOUR,
  alertPerHour: ALERT_PER_HOUR,
  mutableBurst: MUTABLE_BURST,
  mutablePerDay: MUTABLE_PER_DAY,
};

/** One bucket of a row: its column and its limit. */
export interface Bucket {
  readonly column: number;
  readonly limit: Limit;
}

const column = (n: number, limit: Limit): Bucket => ({ column: n, limit });

/** Buckets that one subscriber has for one device that it has proven; all of a kind must have room. */
export const OWN_BUCKETS: Readonly<Record<FrameKind, readonly Bucket[]>> = {
  check: [column(0, perHour(BACKGROUND_PER_HOUR))],
  alert: [column(1, perHour(ALERT_PER_HOUR))],
  message: [column(2, perSecond(1, MUTABLE_BURST)), column(3, perDay(MUTABLE_PER_DAY))],
  verification: [column(4, perHour(10))],
};
export const OWN_COLUMNS = 5;

/** All subscribers of a device together: twice what one has. Verification is not shared. */
const twice = ({ periodMs, burst }: Limit): Limit => ({ periodMs: periodMs / 2, burst: burst * 2 });
const shared = (buckets: readonly Bucket[]): Bucket[] =>
  buckets.map((bucket) => column(bucket.column, twice(bucket.limit)));
export const DEVICE_BUCKETS: Readonly<Record<FrameKind, readonly Bucket[]>> = {
  check: shared(OWN_BUCKETS.check),
  alert: shared(OWN_BUCKETS.alert),
  message: shared(OWN_BUCKETS.message),
  verification: [],
};
export const DEVICE_COLUMNS = 4;

/**
 * What a refusal by the device cap says, whatever the bucket: the exact time would tell one subscriber what another
 * does (relay.md §6).
 */
export const DEVICE_CAP_SECONDS: Readonly<Record<FrameKind, number>> = {
  check: 1200,
  alert: 300,
  message: 60,
  verification: 1200,
};

/**
 * Verification pushes of strangers to one device, all subscribers together: one per 20 minutes and 6 a day. Three at
 * once and three a day, so that no 24 hours hold more than six, wherever they begin.
 */
export const STRANGER_BUCKETS: readonly Bucket[] = [
  column(0, { periodMs: 20 * 60_000, burst: 1 }),
  column(1, perDay(3)),
];
export const STRANGER_COLUMNS = 2;

/** The buckets of all tables. */
export interface Caps {
  readonly own: Readonly<Record<FrameKind, readonly Bucket[]>>;
  readonly device: Readonly<Record<FrameKind, readonly Bucket[]>>;
  readonly strangers: readonly Bucket[];
}

/** What one of several gateways may let through while they can't count together: an nth, but one at once. */
export function capsOfShare(gateways: number): Caps {
  const part = ({ periodMs, burst }: Limit): Limit => ({
    periodMs: periodMs * gateways,
    burst: Math.max(1, Math.floor(burst / gateways)),
  });
  const parts = (buckets: readonly Bucket[]): Bucket[] =>
    buckets.map(({ column, limit }) => ({ column, limit: part(limit) }));
  const ofKinds = (kinds: Caps['own']): Caps['own'] => ({
    check: parts(kinds.check),
    alert: parts(kinds.alert),
    message: parts(kinds.message),
    verification: parts(kinds.verification),
  });
  return { own: ofKinds(OWN_BUCKETS), device: ofKinds(DEVICE_BUCKETS), strangers: parts(STRANGER_BUCKETS) };
}
