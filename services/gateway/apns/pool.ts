/**
 * The pool of one (environment, team, key): a bounded queue in front of a few connections, resends, deadlines, and
 * what Apple's answers lead to. Knows nothing of HTTP/2. Every push ends in exactly one result, in bounded time.
 */
import type { Clock, Timer } from '../../../shared/run/clock.js';
import { Breakers } from './breaker.js';
import type { Answer, Dial } from './connection.js';
import { type DeviceDelays, ProviderPause } from './delays.js';
import type { ApnsPush, ApnsResult } from './engine.js';
import { Job } from './job.js';
import { freest, Line, type LineEvent, type Link } from './line.js';
import type { Meter } from './meter.js';
import type { ResendCause } from './metrics.js';
import type { ApnsKey, ApnsLimits } from './options.js';
import { ProviderTokens } from './provider-token.js';
import { type Reaction, type ReasonWord, reactionTo, reasonWord } from './reasons.js';
import { Waiting } from './waiting.js';

/** How often a push may be refused unprocessed before it is put off: a server that refuses all never ends. */
const MAX_REFUSALS = 16;
const SWEEP_MS = 1_000;
const KEY_LOOK_MS = 5_000;
/** What a full queue and a push that found no stream in time are told. */
const LOAD_SECONDS = 60;

const ACCEPTED: ApnsResult = { kind: 'accepted' };
const DOWN: ApnsResult = { kind: 'unavailable', reason: 'provider-down' };
const BROKEN: ApnsResult = { kind: 'unavailable', reason: 'breaker-open' };
const LOAD: ApnsResult = { kind: 'later', reason: 'load', afterSeconds: LOAD_SECONDS };

export interface PoolOptions {
  readonly key: ApnsKey;
  readonly dial: Dial;
  readonly delays: DeviceDelays;
  readonly clock: Clock;
  readonly random: () => number;
  readonly meter: Meter;
  readonly limits: ApnsLimits;
}

export class Pool {
  private readonly options: PoolOptions;
  private readonly lines: readonly Line[];
  private readonly tokens: ProviderTokens;
  private readonly breakers: Breakers;
  private readonly pause: ProviderPause;
  private readonly jobs = new Set<Job>();
  private readonly waiting: Waiting;
  private sweeper: Timer | undefined;
  private whenIdle: (() => void) | undefined;
  private closing = false;
  /** When a broken pool last looked whether its key is still the same. */
  private keyLookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: PoolOptions) {
    const { key, clock, random, meter, limits } = options;
    this.options = options;
    this.tokens = new ProviderTokens(key, clock, () => meter.signed());
    this.pause = new ProviderPause(clock);
    this.waiting = new Waiting(meter);
    this.breakers = new Breakers({
      minMs: limits.breakerMinMs,
      maxMs: limits.breakerMaxMs,
      clock,
    });
    const changed = (event: LineEvent | 'settings', word?: string): void => this.changed(event, word);
    this.lines = Array.from(
      { length: limits.connections },
      () => new Line({ dial: options.dial, tokens: this.tokens, clock, random, limits, changed }),
    );
  }

  /** Whether a push of this topic would be tried now: a breaker whose time is over counts as ready. */
  ready(topic: string): boolean {
    return !this.closing && !this.isDown && !this.breakers.isOpen(topic);
  }

  send(push: ApnsPush): Promise<ApnsResult> {
    const refusal = this.refusal(push);
    if (refusal !== undefined) {
      this.options.meter.finished(push.environment, refusal, 0);
      return Promise.resolve(refusal);
    }
    return new Promise((resolve) => {
      const now = this.options.clock.monotonic();
      const job = new Job(push, this, resolve, now);
      this.jobs.add(job);
      this.waiting.add(job);
      this.sweeper ??= this.options.clock.after(SWEEP_MS, () => this.sweep());
      this.dispatch();
    });
  }

  /** Refuses what waits, gives what was written `graceMs`, then closes every connection. */
  async close(graceMs: number): Promise<void> {
    this.closing = true;
    this.flush(DOWN);
    if (this.jobs.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.options.clock.after(graceMs, resolve);
        this.whenIdle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    for (const line of this.lines) line.close(true);
    for (const job of [...this.jobs]) this.finish(job, this.later());
    this.sweeper?.cancel();
  }

  /** Called by a job when its connection has something to say about it. */
  answered(job: Job, link: Link, answer: Answer): void {
    this.taken(job, link);
    if (answer.kind === 'response') {
      link.heard = true;
      this.respond(job, link, answer);
    } else {
      this.resend(job, answer.kind === 'unprocessed' ? 'refused' : 'lost');
    }
    this.dispatch();
  }

  /** What can be said at once, before a push takes a place in the queue. */
  private refusal(push: ApnsPush): ApnsResult | undefined {
    if (this.closing) return DOWN;
    if (this.breakers.isOpen(push.topic) && !this.isMended(push.topic)) return BROKEN;
    const afterSeconds = this.options.delays.remaining(push);
    if (afterSeconds > 0) return { kind: 'later', reason: 'device', afterSeconds };
    if (this.waiting.size >= this.options.limits.queued) return LOAD;
    for (const line of this.lines) line.wake();
    return this.isDown ? DOWN : undefined;
  }

  /** Whether the operator has replaced the key since: then the breaker need not wait for its time. */
  private isMended(topic: string): boolean {
    const now = this.options.clock.monotonic();
    if (now - this.keyLookedAt < KEY_LOOK_MS) return false;
    this.keyLookedAt = now;
    if (!this.tokens.takeNewKey()) return false;
    this.breakers.halfOpen(topic);
    return true;
  }

  private get isDown(): boolean {
    for (const line of this.lines) if (!line.isDown) return false;
    return true;
  }

  private dispatch(): void {
    this.waiting.offer((job) => this.place(job));
  }

  /** Puts a push on the least loaded connection; false where there is no room anywhere. */
  private place(job: Job): boolean {
    const { streams } = this.options.limits;
    for (;;) {
      const link = freest(this.lines, streams, job.avoid);
      if (link === undefined) return false;
      const token = link.lease.now();
      if (token === undefined) {
        link.line.renew(link);
        link.line.wake();
        continue;
      }
      if (!this.permit(job)) return true;
      job.written(link, token, this.options.clock.monotonic());
      if (link.connection.send(token.authorization, job)) {
        link.inFlight++;
        this.options.meter.inFlight(1);
        return true;
      }
      job.link = undefined;
      link.line.retire(link);
    }
  }

  /** Asks the breakers; a push that may not go is answered here. */
  private permit(job: Job): boolean {
    if (job.isProbe) return true;
    const permission = this.breakers.ask(job.push.topic);
    job.isProbe = permission === 'probe';
    if (permission === 'stop') this.finish(job, BROKEN);
    return permission !== 'stop';
  }

  /** The request is no longer under way on its connection. */
  private taken(job: Job, link: Link): void {
    link.inFlight--;
    this.options.meter.inFlight(-1);
    job.link = undefined;
    job.avoid = link;
  }

  private resend(job: Job, cause: ResendCause): void {
    const allowed = cause === 'refused' ? ++job.refusals <= MAX_REFUSALS : job.spend(cause);
    if (!allowed || this.closing) {
      this.finish(job, this.later());
    } else {
      this.options.meter.resent(cause);
      this.waiting.addAgain(job);
      for (const line of this.lines) line.wake();
      if (this.isDown) this.flush(DOWN);
    }
  }

  private respond(job: Job, link: Link, answer: Extract<Answer, { kind: 'response' }>): void {
    const reaction = reactionTo(answer.status, answer.reason);
    if (reaction.do === 'accept') {
      this.accept(job, link);
      return;
    }
    const word = reasonWord(answer.reason);
    this.options.meter.answered(word, answer.status, reaction.do);
    this.react(job, link, reaction, answer, word);
  }

  private accept(job: Job, link: Link): void {
    if (!link.proven) link.line.prove(link);
    this.options.delays.clear(job.push);
    this.pause.reset();
    this.vindicate(job);
    this.finish(job, ACCEPTED);
  }

  private react(
    job: Job,
    link: Link,
    reaction: Exclude<Reaction, { do: 'accept' }>,
    answer: Extract<Answer, { kind: 'response' }>,
    word: ReasonWord,
  ): void {
    switch (reaction.do) {
      case 'drop':
        this.vindicate(job);
        this.finish(job, { kind: 'dead', reason: reaction.word });
        break;
      case 'drop-if-older':
        if (!link.proven) link.line.prove(link); // 410 is not counted as an error (apns.md §8)
        this.vindicate(job);
        this.finish(job, this.deadSince(job.push, reaction.word, answer.timestampMs));
        break;
      case 'reject':
        this.vindicate(job);
        this.finish(job, { kind: 'rejected', reason: word });
        break;
      case 'delay-device':
        this.vindicate(job);
        this.finish(job, this.laterForDevice(job.push, answer.retryAfterSeconds));
        break;
      case 'break':
        this.trip(job, link, reaction.scope, word);
        break;
      case 'renew-token':
        this.renew(job, link, word);
        break;
      case 'keep-token':
        this.tokens.freeze();
        this.finish(job, this.later(answer.retryAfterSeconds));
        break;
      case 'reconnect':
        link.line.retire(link);
        this.resend(job, 'connection');
        break;
      case 'back-off':
        if (reaction.leave) link.line.retire(link);
        if (job.maySpend('server')) this.resend(job, 'server');
        else this.finish(job, this.later(answer.retryAfterSeconds));
    }
  }

  /** A probe's answer shows that key and topic are right. */
  private vindicate(job: Job): void {
    if (!job.isProbe) return;
    this.breakers.close(job.push.topic);
    this.options.meter.breakers(this, this.breakers.openCount);
  }

  private trip(job: Job, link: Link, scope: 'key' | 'topic', word: ReasonWord): void {
    if (this.breakers.trip(scope, job.push.topic)) this.options.meter.tripped(scope, word);
    this.options.meter.breakers(this, this.breakers.openCount);
    if (scope === 'key') link.line.retire(link); // a revoked key: close its connections (apns.md §6)
    this.finish(job, BROKEN);
  }

  /** One new token for all pushes that the old one failed; connections that know the old one are closed. */
  private renew(job: Job, link: Link, word: ReasonWord): void {
    const rejected = job.token!;
    if (!job.maySpend('token') || !this.tokens.renew(rejected)) {
      this.trip(job, link, 'key', word);
      return;
    }
    for (const line of this.lines) {
      if (line.link?.lease.token === rejected) line.renew(line.link);
    }
    this.resend(job, 'token');
  }

  /** A token that the phone proved after Apple's time is alive: Apple's answer is about an earlier registration. */
  private deadSince(
    push: ApnsPush,
    reason: 'expired' | 'unregistered',
    timestampMs: number | undefined,
  ): ApnsResult {
    if (timestampMs === undefined) return { kind: 'dead', reason };
    const at = Math.floor(timestampMs / 1000);
    return at > push.provenAt ? { kind: 'dead', reason, at } : this.laterForDevice(push, undefined);
  }

  private laterForDevice(push: ApnsPush, retryAfterSeconds: number | undefined): ApnsResult {
    const { delays, meter } = this.options;
    const afterSeconds = delays.delay(push, retryAfterSeconds);
    meter.delayed(delays.size);
    return { kind: 'later', reason: 'device', afterSeconds };
  }

  private later(retryAfterSeconds = 0): ApnsResult {
    return {
      kind: 'later',
      reason: 'provider',
      afterSeconds: Math.max(retryAfterSeconds, this.pause.fail()),
    };
  }

  private finish(job: Job, result: ApnsResult): void {
    if (job.isDone) return;
    job.isDone = true;
    this.jobs.delete(job);
    if (job.isProbe) this.breakers.release(job.push.topic);
    const { meter, clock } = this.options;
    meter.finished(job.push.environment, result, clock.monotonic() - job.startedAt);
    job.resolve(result);
    if (this.jobs.size === 0) this.whenIdle?.();
  }

  private changed(event: LineEvent | 'settings', word?: string): void {
    if (event !== 'settings') this.options.meter.connection(event, word);
    this.options.meter.links(this, this.lines.filter((line) => line.link !== undefined).length);
    if (this.waiting.size === 0) return;
    for (const line of this.lines) line.wake();
    if (this.isDown) this.flush(DOWN);
    else this.dispatch();
  }

  /** Answers everything that is not written. */
  private flush(result: ApnsResult): void {
    this.waiting.offer((job) => {
      this.finish(job, result);
      return true;
    });
  }

  /** Deadlines, to the second: one timer for all pushes. */
  private sweep(): void {
    const now = this.options.clock.monotonic();
    for (const job of [...this.jobs]) {
      if (now - job.startedAt >= this.options.limits.pushMs) this.expire(job);
      else if (job.link !== undefined && now - job.writtenAt >= this.options.limits.answerMs)
        this.timeOut(job);
    }
    this.waiting.forget();
    this.dispatch();
    this.sweeper = this.jobs.size === 0 ? undefined : this.options.clock.after(SWEEP_MS, () => this.sweep());
  }

  private expire(job: Job): void {
    const { link } = job;
    if (link === undefined) {
      this.finish(job, this.lines.some((line) => line.link !== undefined) ? LOAD : DOWN);
    } else {
      this.abandon(job, link);
      this.finish(job, this.later());
    }
  }

  private timeOut(job: Job): void {
    const { link } = job;
    if (link === undefined) return;
    this.abandon(job, link);
    this.resend(job, 'timeout');
  }

  /** Resets a request that was not answered in time, and asks the peer whether it is there. */
  private abandon(job: Job, link: Link): void {
    link.connection.cancel(job);
    this.taken(job, link);
    link.line.suspect(link);
  }
}
