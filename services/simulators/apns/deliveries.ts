/**
 * What happens to an accepted push (apns.md §10, §11): one stored per app while the phone is offline, a budget of
 * background pushes, and a log of every step that a simulated phone can wait on.
 */
import type { Environment } from '../../../shared/relay/identity.js';
import { type Clock, seconds, type Timer } from '../../../shared/run/clock.js';
import type { Device } from './devices.js';
import type { SimulatorLimits, SimulatorRules } from './options.js';
import { type PushRequest, payloadFault } from './request.js';

const HOUR_MS = 3_600_000;
/** What is waiting for its phone waits no longer than this. */
const MAX_STORAGE_SECONDS = 30 * 86_400;

export interface Delivery extends PushRequest {
  readonly environment: Environment;
  readonly apnsId: string;
  /** Only in the environment `sandbox`. */
  readonly uniqueId: string | undefined;
  /** JSON as it came. */
  readonly payload: string;
}

/**
 * delivered: the phone has it · stored: the phone is offline · held: no background budget · replaced: a newer one took
 * its place · expired: too late · dropped: the app was killed, or the payload does not fit the push type.
 */
export type Step = 'delivered' | 'stored' | 'held' | 'replaced' | 'expired' | 'dropped';

export interface LogEntry extends Delivery {
  /** 1, 2, 3, … */
  readonly seq: number;
  /** Milliseconds. */
  readonly at: number;
  readonly step: Step;
  readonly why: string | undefined;
}

export interface LogQuery {
  /** Entries behind this number. */
  readonly after?: number | undefined;
  readonly environment?: Environment | undefined;
  readonly token?: string | undefined;
  readonly step?: Step | undefined;
}

interface Waiter {
  readonly query: LogQuery;
  readonly done: (entries: LogEntry[]) => void;
}

/** More waiters than allowed. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
}

export class Deliveries {
  private readonly rules: SimulatorRules;
  private readonly limits: SimulatorLimits;
  private readonly clock: Clock;
  private readonly waiters = new Set<Waiter>();
  /** Of pushes that wait for their budget; no more than devices, and those that were replaced within the hour. */
  private readonly holding = new Set<Timer>();
  private entries: LogEntry[] = [];
  private bytes = 0;
  private seq = 0;

  constructor(rules: SimulatorRules, limits: SimulatorLimits, clock: Clock) {
    this.rules = rules;
    this.limits = limits;
    this.clock = clock;
  }

  /** Number of the newest entry. */
  get lastSeq(): number {
    return this.seq;
  }

  /** A push that Apple has answered with 200. */
  accept(device: Device, delivery: Delivery, body: Uint8Array): void {
    const fault = payloadFault(delivery.pushType, body);
    if (fault !== undefined) this.log(delivery, 'dropped', fault);
    else if (device.online) this.arrive(device, delivery);
    else this.store(device, delivery);
  }

  /** The phone loses or regains its connection; then what was stored arrives, if it is not too late. */
  setOnline(device: Device, online: boolean): void {
    device.online = online;
    const { stored } = device;
    if (!online || stored === undefined) return;
    device.stored = undefined;
    if (isExpired(stored, this.clock)) this.log(stored, 'expired');
    else this.arrive(device, stored);
  }

  /** The user opens the app: it gets the background push that was held. */
  launch(device: Device): void {
    const { held } = device;
    device.held = undefined;
    if (held) this.log(held, 'delivered', 'launch');
  }

  /** The user kills the app: what was held is gone. */
  quit(device: Device): void {
    const { held } = device;
    device.held = undefined;
    if (held) this.log(held, 'dropped', 'quit');
  }

  /** Entries that match, oldest first. */
  read(query: LogQuery = {}): LogEntry[] {
    const first = this.entries[0]?.seq ?? 0;
    const from = Math.max(0, (query.after ?? 0) - first + 1);
    return this.entries.slice(from).filter((entry) => matches(entry, query));
  }

  /** The same, but waits for the first of them; empty after `waitMs`. */
  wait(query: LogQuery, waitMs: number): Promise<LogEntry[]> {
    const present = this.read(query);
    if (present.length > 0) return Promise.resolve(present);
    if (this.waiters.size >= this.limits.waiters) return Promise.reject(new BusyError('too many waiters'));
    return new Promise((resolve) => {
      const timer = this.clock.after(waitMs, () => waiter.done([]));
      const waiter: Waiter = {
        query,
        done: (entries) => {
          timer.cancel();
          this.waiters.delete(waiter);
          resolve(entries);
        },
      };
      this.waiters.add(waiter);
    });
  }

  /** Sends every waiter home. */
  dismiss(): void {
    for (const waiter of [...this.waiters]) waiter.done([]);
  }

  /** The same; and what is held stays so. */
  close(): void {
    this.dismiss();
    for (const timer of this.holding) timer.cancel();
    this.holding.clear();
  }

  private store(device: Device, delivery: Delivery): void {
    if (delivery.expiration === 0) {
      this.log(delivery, 'expired', 'not stored');
      return;
    }
    if (device.stored) this.log(device.stored, 'replaced');
    device.stored = { ...delivery, expiration: this.storedUntil(delivery.expiration) };
    this.log(delivery, 'stored');
  }

  private storedUntil(expiration: number | undefined): number {
    const most = seconds(this.clock) + MAX_STORAGE_SECONDS;
    return Math.min(expiration ?? most, most);
  }

  private arrive(device: Device, delivery: Delivery): void {
    if (delivery.pushType !== 'background' || this.mayWake(device)) this.log(delivery, 'delivered');
    else this.hold(device, delivery);
  }

  /** Takes one of the hour's background pushes, if there is one left. */
  private mayWake(device: Device): boolean {
    const now = this.clock.monotonic();
    while (device.wakes.length > 0 && now - device.wakes[0]! >= HOUR_MS) device.wakes.shift();
    if (device.wakes.length >= this.rules.backgroundPerHour) return false;
    device.wakes.push(now);
    return true;
  }

  private hold(device: Device, delivery: Delivery): void {
    if (device.held) this.log(device.held, 'replaced');
    device.held = delivery;
    this.log(delivery, 'held');
    const oldest = device.wakes[0] ?? this.clock.monotonic();
    const timer = this.clock.after(oldest + HOUR_MS - this.clock.monotonic(), () => {
      this.holding.delete(timer);
      if (device.held !== delivery) return;
      device.held = undefined;
      if (isExpired(delivery, this.clock)) this.log(delivery, 'expired');
      else if (device.online) this.arrive(device, delivery);
      else this.store(device, delivery);
    });
    this.holding.add(timer);
  }

  private log(delivery: Delivery, step: Step, why?: string): void {
    const entry: LogEntry = { ...delivery, seq: ++this.seq, at: this.clock.now(), step, why };
    this.entries.push(entry);
    this.bytes += entry.payload.length;
    this.trim();
    for (const waiter of [...this.waiters]) if (matches(entry, waiter.query)) waiter.done([entry]);
  }

  /** Forgets the oldest half at once, so that forgetting costs nothing per entry. */
  private trim(): void {
    const { logEntries, logBytes } = this.limits;
    if (this.entries.length <= logEntries && this.bytes <= logBytes) return;
    this.entries = this.entries.slice(Math.ceil(this.entries.length / 2));
    this.bytes = this.entries.reduce((total, entry) => total + entry.payload.length, 0);
  }
}

/** Expiration 0 means "now or never": what arrives at once is not too late. */
function isExpired(delivery: Delivery, clock: Clock): boolean {
  return (
    delivery.expiration !== undefined && delivery.expiration !== 0 && delivery.expiration <= seconds(clock)
  );
}

function matches(entry: LogEntry, query: LogQuery): boolean {
  return (
    entry.seq > (query.after ?? 0) &&
    (query.environment === undefined || entry.environment === query.environment) &&
    (query.token === undefined || entry.token === query.token) &&
    (query.step === undefined || entry.step === query.step)
  );
}
