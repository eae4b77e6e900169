/**
 * Whether Apple's word against a device is believed. Apple says BadDeviceToken and DeviceTokenNotForTopic of a token
 * that is bad, and of every good one when topic, environment or key are mixed up (apns.md §8); so one such answer
 * about a proven device kills nothing. It counts when it comes a second time, when pushes to other devices were
 * accepted in between and refusals are few; on a gateway so quiet that none are, after half a day of refusals of one
 * or two devices, or their phones would never learn that they must register again. A jump in refusals opens the breaker
 * of that topic and environment (each has one key): then nothing is sent but one push at a time that probes. First
 * contacts have no voice here.
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

/** Refused so often, and for so long, that it is believed where nothing else was pushed. The key lasts a day. */
const REFUSALS_ALONE = 6;
const ALONE_MS = DAY_MS / 2;

export const BREAKER_OPEN: ApnsResult = { kind: 'unavailable', reason: 'breaker-open' };

/** A device that Apple refused once or more, and not surely. */
interface Doubt {
  /** The target's count of accepted pushes at that time. */
  readonly accepted: number;
  readonly refusals: number;
  /** Its first refusal, monotonic ms. */
  readonly since: number;
  /** How often the target had recovered at the last refusal. */
  readonly recoveries: number;
  /** Until then it is not tried. */
  readonly until: number;
}

/** Whose push it is: the device of a capability, of one app. */
export type Device = ApnsTarget & Pick<OpenCapability, 'token' | 'proven'>;

export interface DoubtsOptions {
  readonly crypto: Pick<Crypto, 'hmacSha256' | 'randomBytes'>;
  readonly clock: Clock;
  readonly log: Log;
  /** How many subscribers with proven devices there are. */
  readonly subscribers: () => number;
}

export class Doubts {
  private readonly options: DoubtsOptions;
  /** Few: they are the operator's apps. */
  private readonly targets = new Map<Environment, Map<string, Target>>();
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
    return this.allTargets().filter(({ breaker }) => breaker.isOpen).length;
  }

  isOpen(target: ApnsTarget): boolean {
    return this.of(target).breaker.isOpen;
  }

  /** What a push is told without being tried; undefined = it may be. Changes nothing. */
  refusal(device: Device): ApnsResult | undefined {
    const target = this.of(device);
    const { breaker } = target;
    // A newcomer's token must not die of the operator's mistake either, and it is no probe.
    if (device.proven ? breaker.isOpen : !breaker.isClosed) return BREAKER_OPEN;
    // Where a push may probe, a doubted device is as good as any: perhaps there are no others.
    return device.proven && breaker.isClosed ? this.wait(device, target) : undefined;
  }

  /** Lets a push go that was not refused above; `stop` while another probes. What goes must come to `judge`. */
  enter(device: Device): Permission {
    return device.proven ? this.of(device).breaker.ask() : 'pass';
  }

  /**
   * What Apple's answer means, to be called once, before the token is overwritten.
   * @param tag whose push it was
   * @param permission what `enter` said
   */
  judge(result: ApnsResult, device: Device, tag: string, permission: Permission): ApnsResult {
    if (!device.proven) return result;
    const judged = isRefusal(result)
      ? this.refused(result, device, tag, permission)
      : this.believed(result, device);
    if (permission === 'probe') this.of(device).breaker.release();
    return judged;
  }

  close(): void {
    wipe(this.key);
    this.doubts.clear();
  }

  private believed(result: ApnsResult, device: Device): ApnsResult {
    if (!showsThatAllIsRight(result)) return result;
    this.of(device).accept(this.options.clock.monotonic());
    if (this.doubts.size > 0) this.doubts.delete(this.hash(device));
    return result;
  }

  private refused(result: Refusal, device: Device, tag: string, permission: Permission): ApnsResult {
    const target = this.of(device);
    const hash = this.hash(device);
    const now = this.options.clock.monotonic();
    target.refuse(hash, tag, now);
    const before = this.doubts.get(hash);
    const doubt = this.remember(hash, target, before, now);
    if (permission === 'probe' || target.hasJumped(this.options.subscribers())) {
      this.trip(target, result);
      return BREAKER_OPEN;
    }
    if (before === undefined || !isSure(doubt, target, now)) return waitUntil(doubt, now);
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
      since: before?.since ?? now,
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
  private wait(device: Device, { recoveries }: Target): ApnsResult | undefined {
    const doubt = this.doubts.size === 0 ? undefined : this.doubts.get(this.hash(device));
    const now = this.options.clock.monotonic();
    const mustWait = doubt !== undefined && doubt.recoveries === recoveries && doubt.until > now;
    return mustWait ? waitUntil(doubt, now) : undefined;
  }

  /** HMAC(day key, environment, topic, token): what the gateway keeps of a device is never more. */
  private hash({ environment, topic, token }: Device): string {
    const { crypto, clock } = this.options;
    if (clock.monotonic() - this.keyMadeAt >= DAY_MS) {
      wipe(this.key);
      this.key = crypto.randomBytes(KEY_SIZE);
      this.keyMadeAt = clock.monotonic();
      this.doubts.clear();
      for (const target of this.allTargets()) target.forget();
    }
    const name = utf8(`${environment} ${topic}\0`);
    return latin1(crypto.hmacSha256(this.key, name, token).subarray(0, HASH_SIZE));
  }

  private allTargets(): Target[] {
    return [...this.targets.values()].flatMap((topics) => [...topics.values()]);
  }

  /** Asked several times for each push, so that no name is put together. */
  private of({ environment, topic }: ApnsTarget): Target {
    const known = this.targets.get(environment)?.get(topic);
    if (known !== undefined) return known;
    const topics = this.targets.get(environment) ?? new Map<string, Target>();
    const made = new Target(this.options.clock);
    this.targets.set(environment, topics.set(topic, made));
    return made;
  }
}

/** Accepted, or 410: both are said of tokens that Apple knows for this topic. */
const showsThatAllIsRight = ({ kind }: ApnsResult): boolean => kind === 'accepted' || kind === 'dead';

type Refusal = Extract<ApnsResult, { kind: 'dead' }>;

const isRefusal = (result: ApnsResult): result is Refusal =>
  result.kind === 'dead' && (result.reason === 'bad' || result.reason === 'topic');

/** Whether it is the device that is refused, and not the operator's configuration. */
function isSure({ accepted, refusals, since }: Doubt, target: Target, now: number): boolean {
  if (target.accepted > accepted && !target.isMostlyRefused) return true;
  return refusals >= REFUSALS_ALONE && now - since >= ALONE_MS && target.isRefusedByFew;
}

const waitUntil = (doubt: Doubt, now: number): ApnsResult => ({
  kind: 'later',
  reason: 'provider',
  afterSeconds: Math.ceil((doubt.until - now) / 1000),
});
