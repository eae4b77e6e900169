/** Counts and log lines of the engine in one place: only closed words and numbers go in. */
import type { Environment } from '../../../shared/relay/identity.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { ApnsResult } from './engine.js';
import type { LineEvent } from './line.js';
import type { apnsMetrics, ResendCause } from './metrics.js';
import type { Reaction, ReasonWord } from './reasons.js';

/** The same complaint is logged once in this time; the metrics count them all. */
const COMPLAINT_MS = 60_000;
/** Apple's or Node's word for the end of a connection, where it is one. */
const CODE = /^[A-Za-z0-9_]{1,64}$/;

export class Meter {
  private readonly metrics: MetricHandles<typeof apnsMetrics>;
  private readonly log: Log;
  private readonly clock: Clock;
  private readonly complaints = new Map<ReasonWord, number>();
  private readonly open = new Map<object, number>();
  private readonly broken = new Map<object, number>();
  private waitingNow = 0;
  private inFlightNow = 0;

  constructor(metrics: MetricHandles<typeof apnsMetrics>, log: Log, clock: Clock) {
    this.metrics = metrics;
    this.log = log;
    this.clock = clock;
  }

  waiting(by: number): void {
    if (by === 0) return;
    this.waitingNow += by;
    this.metrics.apns_waiting.set(this.waitingNow);
  }

  inFlight(by: number): void {
    this.inFlightNow += by;
    this.metrics.apns_in_flight.set(this.inFlightNow);
  }

  signed(): void {
    this.metrics.apns_provider_tokens_total.inc();
  }

  resent(cause: ResendCause): void {
    this.metrics.apns_resends_total.inc({ cause });
  }

  delayed(devices: number): void {
    this.metrics.apns_delayed_devices.set(devices);
  }

  finished(environment: Environment, result: ApnsResult, ms: number): void {
    this.metrics.apns_pushes_total.inc({ environment, result: result.kind });
    this.metrics.apns_push_seconds.observe(ms / 1000);
  }

  /** An answer other than 200. Those that an operator must act on are logged. */
  answered(reason: ReasonWord, status: number, reaction: Reaction['do']): void {
    this.metrics.apns_answers_total.inc({ reason });
    if (reaction === 'reject') this.complain('push rejected', reason, status);
    if (reaction === 'keep-token') this.complain('provider token changes too often', reason, status);
    if (reaction === 'renew-token')
      this.complain('provider token refused; is the clock right?', reason, status);
  }

  tripped(scope: 'key' | 'topic', reason: ReasonWord): void {
    this.log.error('apns breaker opened: check key, team, topic and environment', { kind: scope, reason });
  }

  connection(event: LineEvent, word: string | undefined): void {
    this.metrics.apns_connects_total.inc({ event });
    const code = word !== undefined && CODE.test(word) ? { code: word } : {};
    this.log[event === 'failed' ? 'warn' : 'info'](`apns connection ${event}`, code);
  }

  /** Open connections of one pool. */
  links(pool: object, count: number): void {
    this.open.set(pool, count);
    this.metrics.apns_connections.set(sum(this.open));
  }

  /** Open breakers of one pool. */
  breakers(pool: object, count: number): void {
    this.broken.set(pool, count);
    this.metrics.apns_breakers_open.set(sum(this.broken));
  }

  private complain(event: string, reason: ReasonWord, status: number): void {
    const now = this.clock.monotonic();
    const last = this.complaints.get(reason);
    if (last !== undefined && now - last < COMPLAINT_MS) return;
    this.complaints.set(reason, now);
    this.log.error(event, { reason, status });
  }
}

function sum(counts: ReadonlyMap<object, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
