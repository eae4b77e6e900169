/**
 * Revokes all capabilities that are held, a few at a time, for as long as it takes or somebody waits for it: for the
 * day on which this subscriber's memory must be assumed stolen.
 */
import { wipe } from '../../../shared/encoding/bytes.js';
import { Backoff } from '../../../shared/run/backoff.js';
import { type Clock, sleep } from '../../../shared/run/clock.js';
import { type GatewayLink, GatewayRefusal } from '../outbound/gateway-link.js';
import { isFinal } from './farewells.js';

const AT_ONCE = 8;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
/** A gateway may name an hour. */
const WAIT_MAX_MS = 60_000;

/** One capability that is held. */
export interface Held {
  readonly link: Pick<GatewayLink, 'revoke'>;
  /** A copy, which is wiped here; undefined where it is no longer held. */
  readonly capability: () => Uint8Array | undefined;
  /** It is revoked. */
  readonly done: () => void;
}

export interface BurnProgress {
  readonly revoked: number;
  readonly total: number;
}

export interface BurningOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Told after each that is done. */
  readonly say: (progress: BurnProgress) => void;
  readonly gone: AbortSignal;
}

/** Resolves when all are revoked, or nobody waits any more. */
export async function burnAll(held: readonly Held[], options: BurningOptions): Promise<BurnProgress> {
  let revoked = 0;
  const queue = held.values();
  const work = async (): Promise<void> => {
    for (const item of queue) {
      if (!(await burnOne(item, options))) return;
      revoked++;
      options.say({ revoked, total: held.length });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { revoked, total: held.length };
}

/** False where nobody waits any more. */
async function burnOne({ link, capability, done }: Held, options: BurningOptions): Promise<boolean> {
  const { clock, random, gone } = options;
  const pauses = new Backoff({ minMs: RETRY_MIN_MS, maxMs: RETRY_MAX_MS, random });
  while (!gone.aborted) {
    const copy = capability();
    if (copy === undefined) return true;
    const error: unknown = await link.revoke(copy).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    wipe(copy);
    if (error === undefined || isFinal(error)) {
      done();
      return true;
    }
    await sleep(clock, Math.max(pauses.next(), waitMs(error)));
  }
  return false;
}

const waitMs = (error: unknown): number =>
  error instanceof GatewayRefusal ? Math.min((error.retryAfter ?? 0) * 1_000, WAIT_MAX_MS) : 0;
