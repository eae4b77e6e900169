/**
 * Whether the gateway can be used: one back-off per gateway, not per device (relay.md §6). While it can't, probes
 * it; starts in that state.
 */
import { Backoff } from '../../../shared/run/backoff.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { linkMetrics } from './metrics.js';

export interface AvailabilityOptions {
  /** Asks the gateway whether it would take pushes. Never rejects. */
  readonly probe: () => Promise<boolean>;
  /** Called first when the gateway is there, before the listeners. */
  readonly onUp: () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof linkMetrics>;
  readonly random: () => number;
}

const PROBE_MIN_MS = 500;
const PROBE_MAX_MS = 60_000;
/** A gateway that was up this long before it failed is looked for quickly; one that fails at once again is not. */
const STEADY_MS = 60_000;

export class Availability {
  private readonly options: AvailabilityOptions;
  private readonly backoff: Backoff;
  private readonly listeners: (() => void)[] = [];
  private timer: Timer | undefined;
  private upSince: number | undefined;
  private closed = false;

  constructor(options: AvailabilityOptions) {
    this.options = options;
    this.backoff = new Backoff({ minMs: PROBE_MIN_MS, maxMs: PROBE_MAX_MS, random: options.random });
    this.probeIn(0);
  }

  get up(): boolean {
    return this.upSince !== undefined;
  }

  onUp(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** The gateway failed, or said that it can't. */
  down(): void {
    if (this.upSince === undefined) return;
    const { clock, log, metrics } = this.options;
    if (clock.monotonic() - this.upSince >= STEADY_MS) this.backoff.reset();
    this.upSince = undefined;
    metrics.link_available.set(0);
    log.warn('gateway unavailable');
    this.probeIn(this.backoff.next());
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
    this.upSince = undefined;
  }

  private probeIn(ms: number): void {
    if (this.closed) return;
    this.timer = this.options.clock.after(ms, () => void this.probe());
  }

  private async probe(): Promise<void> {
    const ok = await this.options.probe();
    if (this.closed) return;
    this.options.metrics.link_probes_total.inc({ result: ok ? 'ok' : 'failed' });
    if (!ok) return this.probeIn(this.backoff.next());
    this.upSince = this.options.clock.monotonic();
    this.options.metrics.link_available.set(1);
    this.options.log.info('gateway available');
    this.options.onUp();
    for (const listener of this.listeners) listener();
  }
}
