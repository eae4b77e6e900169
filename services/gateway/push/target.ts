/**
 * What Apple's answers say of one topic in one environment: how many proven devices it refused, of how many
 * subscribers, and whether that is a jump, which says more of the operator's configuration than of the devices.
 */
import type { Clock } from '../../../shared/run/clock.js';
import { Breaker } from '../apns/breaker.js';

const HOUR_MS = 3_600_000;

/** Refused devices of one target that open its breaker, and how many subscribers they must belong to. */
const DEVICES = 6;
const SUBSCRIBERS = 2;
/** Where the gateway has one subscriber only, it can harm nobody else. */
const DEVICES_OF_ONE = 3;
/** Subscribers whose refusals are remembered, of one target. */
const MAX_VOICES = 16;
const BREAKER_MIN_MS = 30_000;
const BREAKER_MAX_MS = 900_000;

/** Refused devices by whose they are. A subscriber has a voice, not as many as it has devices. */
class Voices {
  private readonly byTag = new Map<string, Set<string>>();

  get size(): number {
    let size = 0;
    for (const devices of this.byTag.values()) size += devices.size;
    return size;
  }

  add(hash: string, tag: string): void {
    const devices = this.byTag.get(tag) ?? new Set();
    const isKnown = [...this.byTag.values()].some((known) => known.has(hash));
    if (isKnown || devices.size >= DEVICES - 1 || this.byTag.size >= MAX_VOICES) return;
    this.byTag.set(tag, devices.add(hash));
  }

  /** Most often there is nothing to clear, and clearing a map makes a new one inside it. */
  clear(): void {
    if (this.byTag.size > 0) this.byTag.clear();
  }

  /** Whether they are too many to be all bad. */
  areMany(subscribers: number): boolean {
    if (subscribers <= 1) return this.size >= DEVICES_OF_ONE;
    return this.byTag.size >= SUBSCRIBERS && this.size >= DEVICES;
  }
}

/** What was seen of one topic in one environment. */
export class Target {
  readonly breaker: Breaker;
  accepted = 0;
  /** How often its breaker was closed again. */
  recoveries = 0;
  /** Refused since a push was last accepted. */
  private readonly run = new Voices();
  private readonly refusedThisHour = new Voices();
  private acceptedThisHour = 0;
  private hourBegun: number;

  constructor(clock: Clock) {
    this.breaker = new Breaker({ minMs: BREAKER_MIN_MS, maxMs: BREAKER_MAX_MS, clock });
    this.hourBegun = clock.monotonic();
  }

  get isMostlyRefused(): boolean {
    return this.refusedThisHour.size > this.acceptedThisHour;
  }

  /** Whether the devices refused since a push was last accepted are too few to say anything of the configuration. */
  get isRefusedByFew(): boolean {
    return this.run.size < DEVICES_OF_ONE;
  }

  accept(now: number): void {
    this.turn(now);
    this.accepted++;
    this.acceptedThisHour++;
    this.run.clear();
    if (this.breaker.isClosed) return;
    // The configuration was right after all, or is so again.
    this.recoveries++;
    this.refusedThisHour.clear();
    this.breaker.close();
  }

  refuse(hash: string, tag: string, now: number): void {
    this.turn(now);
    this.run.add(hash, tag);
    this.refusedThisHour.add(hash, tag);
  }

  hasJumped(subscribers: number): boolean {
    const isJump = this.isMostlyRefused && this.refusedThisHour.areMany(subscribers);
    return isJump || this.run.areMany(subscribers);
  }

  /** Forgets the devices: their hashes mean nothing under another key. */
  forget(): void {
    this.run.clear();
    this.refusedThisHour.clear();
  }

  private turn(now: number): void {
    if (now - this.hourBegun < HOUR_MS) return;
    this.hourBegun = now;
    this.refusedThisHour.clear();
    this.acceptedThisHour = 0;
  }
}
