/**
 * Capabilities that are given up when a phone leaves: revoked at the gateway, so that a stolen copy ends with them.
 * Best effort: nobody waits for it, and it is tried for four minutes only, for after five (a slot of the proof) a
 * gateway may take it as an end of what the phone has registered since (relay.md §6, "Revoked").
 */
import { wipe } from '../../../shared/encoding/bytes.js';
import { SLOT_SECONDS } from '../../../shared/relay/verification.js';
import { Backoff } from '../../../shared/run/backoff.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { type GatewayLink, GatewayRefusal } from '../outbound/gateway-link.js';
import type { wakeMetrics } from './metrics.js';

/** A minute before the slot is over: a request under way must have arrived. */
const LIFE_MS = (SLOT_SECONDS - 60) * 1_000;
const RETRY_MIN_MS = 5_000;
const RETRY_MAX_MS = 60_000;
/** Capabilities held for this, those that wait for another attempt included. */
const MAX_HELD = 4_096;
const MAX_RUNNING = 8;

export interface FarewellsOptions {
  readonly clock: Clock;
  readonly metrics: MetricHandles<typeof wakeMetrics>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

interface Farewell {
  readonly link: Pick<GatewayLink, 'revoke'>;
  readonly capability: Uint8Array;
  readonly until: number;
  readonly pauses: Backoff;
}

export class Farewells {
  private readonly options: FarewellsOptions;
  private readonly queue: Farewell[] = [];
  private readonly waiting = new Map<Farewell, Timer>();
  private running = 0;
  private isClosed = false;

  constructor(options: FarewellsOptions) {
    this.options = options;
  }

  /** Takes over, and wipes, the copy of a capability. Full = dropped: the capability then ends with its life. */
  say(link: Farewell['link'], capability: Uint8Array): void {
    const { clock, random } = this.options;
    if (this.queue.length + this.waiting.size + this.running >= MAX_HELD) {
      this.end(capability, 'dropped');
      return;
    }
    const pauses = new Backoff({ minMs: RETRY_MIN_MS, maxMs: RETRY_MAX_MS, random });
    this.queue.push({ link, capability, until: clock.monotonic() + LIFE_MS, pauses });
    this.next();
  }

  close(): void {
    this.isClosed = true;
    for (const timer of this.waiting.values()) timer.cancel();
    for (const { capability } of [...this.queue, ...this.waiting.keys()]) wipe(capability);
    this.queue.length = 0;
    this.waiting.clear();
  }

  private next(): void {
    while (this.running < MAX_RUNNING && this.queue.length > 0) void this.attempt(this.queue.shift()!);
  }

  private async attempt(farewell: Farewell): Promise<void> {
    const { link, capability, until } = farewell;
    if (this.options.clock.monotonic() >= until) {
      this.end(capability, 'given-up');
      return;
    }
    this.running++;
    const again = await link.revoke(capability).then(
      () => false,
      (error: unknown) => !isFinal(error),
    );
    this.running--;
    if (again) this.retry(farewell);
    else this.end(capability, 'told');
    this.next();
  }

  private retry(farewell: Farewell): void {
    const { clock } = this.options;
    const pause = farewell.pauses.next();
    if (this.isClosed || clock.monotonic() + pause >= farewell.until) {
      this.end(farewell.capability, 'given-up');
      return;
    }
    const timer = clock.after(pause, () => {
      this.waiting.delete(farewell);
      this.queue.push(farewell);
      this.next();
    });
    this.waiting.set(farewell, timer);
  }

  private end(capability: Uint8Array, result: 'told' | 'given-up' | 'dropped'): void {
    wipe(capability);
    this.options.metrics.wake_farewells_total.inc({ result });
  }
}

/** The gateway knows no such capability any more, or will never understand the request: nothing is left to do. */
export const isFinal = (error: unknown): boolean =>
  error instanceof GatewayRefusal &&
  (error.code === 'bad-capability' || error.code === 'bad-request' || error.code === 'version');
