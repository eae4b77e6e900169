/**
 * How long to wait after Apple's "not now": one growing pause for its own troubles (500, 503), and one for each
 * device that got too much (429). Devices are kept as keyed hashes under a key that changes daily, and no longer.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { latin1, utf8, wipe } from '../../../shared/encoding/bytes.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { ApnsPush } from './engine.js';

const PROVIDER_MIN_SECONDS = 60;
const PROVIDER_MAX_SECONDS = 900;
const DEVICE_MIN_SECONDS = 60;
const DEVICE_MAX_SECONDS = 1_800;
const DAY_MS = 24 * 3_600_000;
const KEY_SIZE = 32;

/** Seconds of the `n`th wait in a row, from 0. */
const doubled = (min: number, max: number, n: number): number => Math.min(max, min * 2 ** Math.min(n, 20));

/** The pause after 500 and 503: 60 s, doubling to 900, and back to the start with the next accepted push. */
export class ProviderPause {
  private readonly clock: Clock;
  private level = -1;
  private raisedAt = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A failure. Those of one pause count once, or a full connection would jump to the end at once. */
  fail(): number {
    const now = this.clock.monotonic();
    if (this.level < 0 || now - this.raisedAt >= this.seconds * 1000) {
      this.level++;
      this.raisedAt = now;
    }
    return this.seconds;
  }

  reset(): void {
    this.level = -1;
  }

  private get seconds(): number {
    return doubled(PROVIDER_MIN_SECONDS, PROVIDER_MAX_SECONDS, this.level);
  }
}

interface Delay {
  readonly untilMs: number;
  readonly times: number;
}

/** Devices that must wait. Bounded; when full, the one that was delayed longest ago makes room. */
export class DeviceDelays {
  private readonly delays = new Map<string, Delay>();
  private readonly crypto: Pick<Crypto, 'hmacSha256' | 'randomBytes'>;
  private readonly clock: Clock;
  private readonly max: number;
  private key: Uint8Array;
  private keyMadeAt: number;

  constructor(crypto: Pick<Crypto, 'hmacSha256' | 'randomBytes'>, clock: Clock, max: number) {
    this.crypto = crypto;
    this.key = crypto.randomBytes(KEY_SIZE);
    this.keyMadeAt = clock.monotonic();
    this.clock = clock;
    this.max = max;
  }

  get size(): number {
    return this.delays.size;
  }

  /** Seconds that this device must still wait, 0 for nearly all of them. */
  remaining(push: ApnsPush): number {
    this.turn();
    if (this.delays.size === 0) return 0;
    const delay = this.delays.get(this.tag(push));
    return delay === undefined ? 0 : Math.max(0, Math.ceil((delay.untilMs - this.clock.monotonic()) / 1000));
  }

  /** Apple refused a push to this device; `retryAfter` is its own word in seconds, if it said one. */
  delay(push: ApnsPush, retryAfter: number | undefined): number {
    const running = this.remaining(push);
    if (running > 0 && retryAfter === undefined) return running; // several pushes of one moment count once
    const tag = this.tag(push);
    const times = this.delays.get(tag)?.times ?? 0;
    const seconds = retryAfter ?? doubled(DEVICE_MIN_SECONDS, DEVICE_MAX_SECONDS, times);
    this.delays.delete(tag); // so that it moves to the end
    this.delays.set(tag, { untilMs: this.clock.monotonic() + seconds * 1000, times: times + 1 });
    if (this.delays.size > this.max) this.delays.delete(this.delays.keys().next().value!);
    return seconds;
  }

  /** Apple took a push to this device. */
  clear(push: ApnsPush): void {
    if (this.delays.size > 0) this.delays.delete(this.tag(push));
  }

  /** A new key each day; devices that wait at that moment may be tried once before their time. */
  private turn(): void {
    const now = this.clock.monotonic();
    if (now - this.keyMadeAt < DAY_MS) return;
    wipe(this.key);
    this.key = this.crypto.randomBytes(KEY_SIZE);
    this.keyMadeAt = now;
    this.delays.clear();
  }

  private tag(push: ApnsPush): string {
    const scope = utf8(`${push.environment} ${push.topic} `);
    return latin1(this.crypto.hmacSha256(this.key, scope, push.token).subarray(0, 16));
  }
}
