/** The device registry: which token belongs to which app, where, since when, and whether its phone is reachable. */
import { randomBytes } from 'node:crypto';
import type { Environment } from '../../../shared/relay/identity.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Delivery } from './deliveries.js';
import type { SimulatorRules } from './options.js';
import { type Refusal, refuse } from './refusal.js';
import { canonicalToken } from './request.js';

const DEFAULT_TOKEN_BYTES = 32;

export interface Device {
  readonly environment: Environment;
  /** Lower-case hex; in the environment `test` the text as it is. */
  readonly token: string;
  readonly topic: string;
  /** Milliseconds. */
  readonly registeredAt: number;
  /** The app is gone, or the token has expired: 410 with this time. */
  gone: { readonly reason: 'Unregistered' | 'ExpiredToken'; readonly at: number } | undefined;
  online: boolean;
  /** Times of the pushes of the last window, for 429. */
  readonly pushes: number[];
  /** Times of the background pushes that woke the app. */
  readonly wakes: number[];
  /** The one push that waits for a phone that is offline. */
  stored: Delivery | undefined;
  /** The one background push that waits for budget. */
  held: Delivery | undefined;
}

export interface Registration {
  readonly environment: Environment;
  readonly topic: string;
  /** Drawn at random where absent. */
  readonly token?: string | undefined;
  readonly tokenBytes?: number | undefined;
  readonly online?: boolean | undefined;
}

/** A registry that is full, or a token that is none. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}

export class Devices {
  private readonly devices = new Map<string, Device>();
  private readonly rules: SimulatorRules;
  private readonly clock: Clock;
  private readonly max: number;

  constructor(rules: SimulatorRules, clock: Clock, max: number) {
    this.rules = rules;
    this.clock = clock;
    this.max = max;
  }

  get size(): number {
    return this.devices.size;
  }

  /** An app registers: a new token, or the one given; registering again brings a dead token back to life. */
  register(registration: Registration): Device {
    const { environment, topic, tokenBytes = DEFAULT_TOKEN_BYTES, online = true } = registration;
    const wanted = registration.token ?? randomBytes(tokenBytes).toString('hex');
    const token = canonicalToken(wanted, environment === 'test');
    if (token === undefined) throw new DeviceError('not a device token');
    if (this.devices.size >= this.max) throw new DeviceError('too many devices');
    const device: Device = {
      environment,
      token,
      topic,
      registeredAt: this.clock.now(),
      gone: undefined,
      online,
      pushes: [],
      wakes: [],
      stored: undefined,
      held: undefined,
    };
    this.devices.set(nameOf(environment, token), device);
    return device;
  }

  find(environment: Environment, token: string): Device | undefined {
    const canonical = canonicalToken(token, environment === 'test');
    return canonical === undefined ? undefined : this.devices.get(nameOf(environment, canonical));
  }

  /** Forgets a token altogether: it was never Apple's. */
  forget(device: Device): void {
    this.devices.delete(nameOf(device.environment, device.token));
  }

  /** The device of a push, or Apple's answer about it. Counts the push. */
  judge(environment: Environment, token: string, topic: string): Device | Refusal {
    const device = this.find(environment, token);
    if (device === undefined) return refuse('BadDeviceToken');
    if (device.topic !== topic) return refuse('DeviceTokenNotForTopic');
    if (device.gone) return refuse(device.gone.reason, { timestamp: device.gone.at });
    return this.admit(device) ? device : refuse('TooManyRequests', this.retryAfter());
  }

  private admit(device: Device): boolean {
    const { count, windowMs } = this.rules.deviceRate;
    if (count === 0) return true;
    const now = this.clock.monotonic();
    while (device.pushes.length > 0 && now - device.pushes[0]! >= windowMs) device.pushes.shift();
    if (device.pushes.length >= count) return false;
    device.pushes.push(now);
    return true;
  }

  private retryAfter(): Partial<Refusal> {
    const { retryAfterSeconds } = this.rules;
    return retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  }
}

const nameOf = (environment: Environment, token: string): string => `${environment} ${token}`;
