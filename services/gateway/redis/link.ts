/**
 * Whether Redis can be asked. One answer that fails or comes late, and nobody asks any more: the gateway counts
 * alone at once, without waiting, until a probe in the background was answered in time.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { uniform } from '../../../shared/crypto/uniform.js';
import { Backoff } from '../../../shared/run/backoff.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { type RedisClient, reasonOf } from './client.js';
import type { Reason, redisMetrics, Step } from './metrics.js';

/** A push is in the way of three steps at most (nonce, look, pass): together they have the time that is allowed. */
const STEPS_OF_A_PUSH = 3;
const PROBE_MIN_MS = 100;
const PROBE_MAX_MS = 5_000;
/** The first connection, with TLS and all, may take this long before the gateway starts without it. */
const FIRST_MS = 1_000;
/** Who was up for this long begins again with fast probes. */
const STEADY_MS = 30_000;

export interface RedisLinkOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof redisMetrics>;
  readonly client: RedisClient;
  readonly prefix: string;
  /** Longest time that one push may wait for Redis, all its steps together. */
  readonly timeoutMs: number;
}

export class RedisLink {
  private readonly options: RedisLinkOptions;
  private readonly backoff: Backoff;
  private up = false;
  private closed = false;
  private found = 0;
  private upSince = 0;
  /** Redis' clock minus ours, ms. */
  private offset = 0;
  private timer: Timer | undefined;
  private said: Reason | undefined;

  constructor(options: RedisLinkOptions) {
    this.options = options;
    const random = uniform(options.crypto);
    this.backoff = new Backoff({ minMs: PROBE_MIN_MS, maxMs: PROBE_MAX_MS, random });
    options.metrics.shared_limits_state.set(0);
  }

  /** How often Redis was found: it may have been another one, or an empty one, each time. */
  get times(): number {
    return this.found;
  }

  get isUp(): boolean {
    return this.up;
  }

  /** Milliseconds since the Unix epoch by the clock of Redis. */
  get now(): number {
    return this.options.clock.monotonic() + this.offset;
  }

  /** Connects, and looks for Redis until it is there; resolves after the first look. */
  async start(): Promise<void> {
    const { client, timeoutMs } = this.options;
    await this.within(Math.max(timeoutMs, FIRST_MS), () => client.connect());
    await this.probe();
  }

  /** Asks; undefined where the answer failed or did not come in time, and then nobody asks for a while. */
  async ask<T>(step: Step, call: (client: RedisClient) => Promise<T>): Promise<T | undefined> {
    if (!this.up) return undefined;
    const { clock, metrics, timeoutMs } = this.options;
    const since = clock.monotonic();
    const answer = await this.within(timeoutMs / STEPS_OF_A_PUSH, call);
    if (typeof answer === 'string') {
      this.down(answer);
      return undefined;
    }
    metrics.shared_limits_seconds.observe({ step }, (clock.monotonic() - since) / 1000);
    return answer.value;
  }

  /** What Redis said of its time. */
  heard(now: number): void {
    this.offset = now - this.options.clock.monotonic();
  }

  close(): void {
    this.closed = true;
    this.up = false;
    this.timer?.cancel();
    this.options.client.close();
  }

  private within<T>(ms: number, call: (client: RedisClient) => Promise<T>): Promise<{ value: T } | Reason> {
    return new Promise((resolve) => {
      // An answer may lie in the socket while this process was busy: it is read before time is up.
      const timer = this.options.clock.after(ms, () => setImmediate(() => resolve('slow')));
      call(this.options.client)
        .then((value) => resolve({ value }))
        .catch((error) => resolve(reasonOf(error)))
        .finally(() => timer.cancel());
    });
  }

  private async probe(): Promise<void> {
    const { client, prefix, timeoutMs } = this.options;
    const answer = await this.within(timeoutMs, () => client.probe(`${prefix}probe`));
    if (this.closed) return;
    if (typeof answer !== 'string') {
      this.heard(answer.value);
      this.isBack();
      return;
    }
    // A connection that swallows everything is not waited for until the kernel gives it up.
    if (answer === 'slow') client.reconnect();
    this.say(answer);
    this.later();
  }

  private isBack(): void {
    const { log, metrics, clock } = this.options;
    this.up = true;
    this.found++;
    this.upSince = clock.monotonic();
    this.said = undefined;
    metrics.shared_limits_state.set(1);
    log.info('limits are shared');
  }

  private down(reason: Reason): void {
    if (!this.up) return;
    const { metrics, clock } = this.options;
    this.up = false;
    metrics.shared_limits_state.set(0);
    metrics.shared_limits_fallbacks_total.inc({ reason });
    if (clock.monotonic() - this.upSince >= STEADY_MS) this.backoff.reset();
    this.say(reason);
    this.later();
  }

  /** Once for each trouble, not for each probe. */
  private say(reason: Reason): void {
    if (this.said === reason) return;
    this.said = reason;
    this.options.log.warn('limits cannot be shared, this gateway counts its share alone', { reason });
  }

  private later(): void {
    this.timer = this.options.clock.after(this.backoff.next(), () => void this.probe());
  }
}
