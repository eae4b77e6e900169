/**
 * Whether Apple's word against a device is believed. Apple says BadDeviceToken and DeviceTokenNotForTopic of a token
 * that is bad, and of every good one when topic, environment or key are mixed up (apns.md §8); so one such answer
 * about a proven device kills nothing. It counts when it comes a second time, when pushes to other devices were
 * accepted in between and refusals are few. A jump in them opens the breaker of that topic and environment (each has
 * one key): then nothing is sent but one push at a time that probes. First contacts have no voice here.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { latin1, utf8, wipe } from '../../../shared/encoding/bytes.js';
import type { Environment } from '../../../shared/relay/identity.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { Permission } from '../apns/breaker.js';
import type { ApnsResult, ApnsTarget } from '../apns/engine.js';
import type { OpenCapability } from '../capabilities/capability.js';
import { Target } from './target.js';

const DAY_MS = 24 * 3_600_000;
const KEY_SIZE = 32;
const HASH_SIZE = 16;

/** Devices remembered in all; the one that has been here longest makes room. */
const MAX_DOUBTED = 10_000;
/** What a doubted device is told, refusal after refusal. */
const WAIT_SECONDS = [60, 300, 1_200] as const;

export const BREAKER_OPEN: ApnsResult = { kind: 'unavailable', reason: 'breaker-open' };

/** A device that Apple refused once or more, and not surely. */
interface Doubt {
  /** The target's count of accepted pushes at that time. */
  readonly accepted: number;
  readonly refusals: number;
  /** How often the target had recovered at the last refusal. */
  readonly recoveries: number;
  /** Until then it is not tried. */
  readonly until: number;
}

/** Of a push that may go: what its result means. To be called once, before the token is overwritten. */
export type Judge = (result: ApnsResult) => ApnsResult;

const BELIEVE: Judge = (result) => result;

export interface DoubtsOptions {
  readonly crypto: Pick<Crypto, 'hmacSha256' | 'randomBytes'>;
  readonly clock: Clock;
  readonly log: Log;
  /** How many subscribers with proven devices there are. */
  readonly subscribers: () => number;
}

type Push = ApnsTarget & Pick<OpenCapability, 'token' | 'proven'>;

export class Doubts {
  private readonly options: DoubtsOptions;
  /** Few: they are the operator's apps. */
  private readonly targets = new Map<string, Target>();
  private readonly doubts = new Map<string, Doubt>();
  private key: Uint8Array;
  private keyMadeAt: number;

  constructor(options: DoubtsOptions) {
    this.options = options;
    this.key = options.crypto.randomBytes(KEY_SIZE);
    this.keyMadeAt = options.clock.monotonic();
  }

  /** Devices that are doubted now. */
  get size(): number {
    return this.doubts.size;
  }

  get openBreakers(): number {
    return [...this.targets.values()].filter(({ breaker }) => breaker.isOpen).length;
  }

  isOpen(target: ApnsTarget): boolean {
    return this.of(target).breaker.isOpen;
  }

  /** What a push is told without being tried; undefined = it may be. Changes nothing. */
  refusal(push: Push): ApnsResult | undefined {
    const target = this.of(push);
    const { breaker } = target;
    // A newcomer's token must not die of the operator's mistake either, and it is no probe.
    if (push.proven ? breaker.isOpen : !breaker.isClosed) return BREAKER_OPEN;
    // Where a push may probe, a doubted device is as good as any: perhaps there are no others.
    return push.proven && breaker.isClosed ? this.wait(push, target) : undefined;
  }

  /** Lets a push go that was not refused above; undefined where another is probing at this moment. */
  enter(push: Push, tag: string): Judge | undefined {
    if (!push.proven) return BELIEVE;
    const permission = this.of(push).breaker.ask();
    if (permission === 'stop') return undefined;
    return (result) => {
      const judged = isRefusal(result)
        ? this.refused(result, push, tag, permission)
        : this.believed(result, push);
      if (permission === 'probe') this.of(push).breaker.release();
      return judged;
    };
  }

  close(): void {
    wipe(this.key);
    this.doubts.clear();
  }

  private believed(result: ApnsResult, push: Push): ApnsResult {
    if (!showsThatAllIsRight(result)) return result;
    this.of(push).accept(this.options.clock.monotonic());
    if (this.doubts.size > 0) this.doubts.delete(this.hash(push));
    return result;
  }

  private refused(result: Refusal, push: Push, tag: string, permission: Permission): ApnsResult {
    const target = this.of(push);
    const hash = this.hash(push);
    const now = this.options.clock.monotonic();
    target.refuse(hash, tag, now);
    const before = this.doubts.get(hash);
    const doubt = this.remember(hash, target, before, now);
    if (permission === 'probe' || target.hasJumped(this.options.subscribers())) {
      this.trip(target, result);
      return BREAKER_OPEN;
    }
    const isSure = before !== undefined && target.accepted > before.accepted && !target.isMostlyRefused;
    if (!isSure) return waitUntil(doubt, now);
    this.doubts.delete(hash);
    return result;
  }

  private trip({ breaker }: Target, { reason }: Refusal): void {
    const { log } = this.options;
    if (breaker.trip()) log.error('many devices refused: check topic, environment and key', { reason });
  }

  private remember(hash: string, target: Target, before: Doubt | undefined, now: number): Doubt {
    const refusals = (before?.refusals ?? 0) + 1;
    const wait = WAIT_SECONDS[Math.min(refusals, WAIT_SECONDS.length) - 1]!;
    const doubt = {
      accepted: before?.accepted ?? target.accepted,
      refusals,
      recoveries: target.recoveries,
      until: now + wait * 1000,
    };
    if (this.doubts.size >= MAX_DOUBTED && before === undefined) {
      this.doubts.delete(this.doubts.keys().next().value!);
    }
    this.doubts.set(hash, doubt);
    return doubt;
  }

  /** What was refused before the configuration was mended need not wait. */
  private wait(push: Push, { recoveries }: Target): ApnsResult | undefined {
    const doubt = this.doubts.size === 0 ? undefined : this.doubts.get(this.hash(push));
    const now = this.options.clock.monotonic();
    const mustWait = doubt !== undefined && doubt.recoveries === recoveries && doubt.until > now;
    return mustWait ? waitUntil(doubt, now) : undefined;
  }

  /** HMAC(day key, environment, topic, token): what the gateway keeps of a device is never more. */
  private hash({ environment, topic, token }: Push): string {
    const { crypto, clock } = this.options;
    if (clock.monotonic() - this.keyMadeAt >= DAY_MS) {
      wipe(this.key);
      this.key = crypto.randomBytes(KEY_SIZE);
      this.keyMadeAt = clock.monotonic();
      this.doubts.clear();
      for (const target of this.targets.values()) target.forget();
    }
    const name = utf8(`${nameOf({ environment, topic })}\0`);
    return latin1(crypto.hmacSha256(this.key, name, token).subarray(0, HASH_SIZE));
  }

  private of(target: ApnsTarget): Target {
    const name = nameOf(target);
    const known = this.targets.get(name);
    if (known !== undefined) return known;
    const made = new Target(this.options.clock);
    this.targets.set(name, made);
    return made;
  }
}

const nameOf = ({ environment, topic }: { environment: Environment; topic: string }): string =>
  `${environment} ${topic}`;

/** Accepted, or 410: both are said of tokens that Apple knows for this topic. */
const showsThatAllIsRight = ({ kind }: ApnsResult): boolean => kind === 'accepted' || kind === 'dead';

type Refusal = Extract<ApnsResult, { kind: 'dead' }>;

const isRefusal = (result: ApnsResult): result is Refusal =>
  result.kind === 'dead' && (result.reason === 'bad' || result.reason === 'topic');

const waitUntil = (doubt: Doubt, now: number): ApnsResult => ({
  kind: 'later',
  reason: 'provider',
  afterSeconds: Math.ceil((doubt.until - now) / 1000),
});
