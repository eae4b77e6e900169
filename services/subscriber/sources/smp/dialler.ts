/**
 * When one server is dialled, and at which of its hosts (design §3). A server that completed an SMP handshake
 * before is tried for ever with jittered back-off; one that never did, hourly for a day: its address may have been
 * made up by a client. What our own proxy or network fails at is not held against it.
 */
import { Backoff } from '../../../../shared/run/backoff.js';
import type { Clock, Timer } from '../../../../shared/run/clock.js';
import type { Connect, Link } from './connector.js';
import { type DialFailure, failureOf } from './dial-outcome.js';
import type { Gate } from './gate.js';
import type { SmpMetrics } from './metrics.js';
import { isOnion, type Server } from './servers.js';

const CONNECT_MS = 45_000;
/** How often is looked whether others wait for the place of one that has not answered yet. */
const PATIENCE_MS = 5_000;
const BACKOFF_MIN_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
/** Little by little: after an outage of any length up to some minutes we are back within a seventh of it. */
const BACKOFF_GROWTH = 1.1;
/** A connection that lived this long starts the back-off anew when it is lost. */
const STABLE_MS = 60_000;
const STRANGER_RETRY_MS = 3_600_000;
const STRANGER_LIFE_MS = 24 * 3_600_000;
/** How long a server that was never reached is tried as soon as one that was, if our own network seems to be away. */
const OFFLINE_BELIEVED_MS = 10 * 60_000;

export interface DiallerShared {
  readonly clock: Clock;
  /** Bounds attempts at servers that never completed a handshake. */
  readonly gate: Gate;
  readonly connect: Connect;
  readonly metrics: SmpMetrics;
  /** Whether .onion hosts can be reached. */
  readonly reachesOnion: boolean;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface DiallerEvents {
  connected(link: Link): void;
  /** An attempt failed. @param forbidden every address of the host may not be dialled */
  failed(forbidden: boolean): void;
}

export class Dialler {
  private readonly server: Server;
  private readonly shared: DiallerShared;
  private readonly events: DiallerEvents;
  private readonly backoff: Backoff;
  private timer: Timer | undefined;
  private attempt: AbortController | undefined;
  private queued: (() => void) | undefined;
  private failures = 0;
  private connectedAt: number | undefined;
  /** When a server without a handshake first failed; undefined again once it was given up. */
  private strangerSince: number | undefined;
  /** When our own network first seemed to be why; also undefined again then. */
  private offlineSince: number | undefined;

  constructor(server: Server, shared: DiallerShared, events: DiallerEvents) {
    this.server = server;
    this.shared = shared;
    this.events = events;
    this.backoff = new Backoff({
      minMs: BACKOFF_MIN_MS,
      maxMs: BACKOFF_MAX_MS,
      growth: BACKOFF_GROWTH,
      random: shared.random,
    });
  }

  /** Whether the server has completed a handshake since it became known. */
  get known(): boolean {
    return this.server.proven.size > 0;
  }

  /** Whether an attempt runs or will. */
  get trying(): boolean {
    return this.attempt !== undefined || this.timer !== undefined || this.queued !== undefined;
  }

  /** Whether the next attempt at a server that never completed a handshake is some time away. */
  get waitsForStranger(): boolean {
    return !this.known && this.timer !== undefined;
  }

  /** Dials now, unless an attempt runs or is planned. */
  start(): void {
    if (this.trying) return;
    if (this.known) this.dial(() => {});
    else this.queue();
  }

  /** The connection was lost: dials again, at once if it was a stable one and else after the back-off. */
  lost(): void {
    const lived = this.shared.clock.monotonic() - (this.connectedAt ?? 0);
    if (lived >= STABLE_MS) this.backoff.reset();
    const { isFresh } = this.backoff;
    const pause = this.backoff.next();
    this.plan(isFresh ? 0 : pause);
  }

  /** Ends attempts and plans. */
  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.queued) this.shared.gate.drop(this.queued);
    this.queued = undefined;
    this.attempt?.abort();
    this.attempt = undefined;
  }

  private queue(): void {
    this.queued = () => {
      this.queued = undefined;
      this.dial(() => this.shared.gate.leave());
    };
    this.shared.gate.pass(this.queued);
  }

  private plan(ms: number): void {
    this.timer = this.shared.clock.after(ms, () => {
      this.timer = undefined;
      this.start();
    });
  }

  /** One attempt. `done` is called once when it is over, whatever came of it. */
  private dial(done: () => void): void {
    const attempt = new AbortController();
    this.attempt = attempt;
    const deadline = this.limit(attempt);
    const host = this.nextHost();
    this.shared
      .connect(this.server, host, attempt.signal)
      .then(
        (link) => (this.attempt === attempt ? this.succeeded(host, link) : link.transport.close()),
        (error: unknown) => this.attempt === attempt && this.failed(error, attempt.signal.aborted),
      )
      .finally(() => {
        deadline.cancel();
        done();
      });
  }

  /** A stranger that is slow gives way as soon as others wait: servers that never answer must not hold them up. */
  private limit(attempt: AbortController): Timer {
    const { clock, gate } = this.shared;
    const until = clock.monotonic() + CONNECT_MS;
    const look = (): void => {
      if (clock.monotonic() >= until || (!this.known && gate.crowded)) attempt.abort();
      else timer = clock.after(PATIENCE_MS, look);
    };
    let timer = clock.after(PATIENCE_MS, look);
    return { cancel: () => timer.cancel() };
  }

  /** Hosts that have authenticated come first, then each of the others in turn. */
  private nextHost(): string {
    const { hosts, proven } = this.server;
    const usable = usableHosts(hosts, this.shared.reachesOnion);
    const order = usable.sort((a, b) => Number(proven.has(b)) - Number(proven.has(a)));
    return order[this.failures % order.length]!;
  }

  private succeeded(host: string, link: Link): void {
    this.attempt = undefined;
    this.failures = 0;
    this.connectedAt = this.shared.clock.monotonic();
    this.server.proven.add(host);
    this.shared.metrics.smp_connects_total.inc({ outcome: 'ok' });
    this.events.connected(link);
  }

  private failed(error: unknown, timedOut: boolean): void {
    this.attempt = undefined;
    const outcome = timedOut ? 'timeout' : failureOf(error);
    if (outcome !== 'proxy') this.failures++;
    this.shared.metrics.smp_connects_total.inc({ outcome });
    if (this.known || this.saysNothing(outcome)) this.plan(this.backoff.next());
    else this.planStranger();
    this.events.failed(outcome === 'forbidden');
  }

  /**
   * Whether the failure was ours: our proxy, or our network. That it is our network is believed only for a while, for
   * a made-up address, or a name whose resolver is hostile, can look the same.
   */
  private saysNothing(outcome: DialFailure): boolean {
    if (outcome !== 'offline') return outcome === 'proxy';
    const nowMs = this.shared.clock.monotonic();
    this.offlineSince ??= nowMs;
    return nowMs - this.offlineSince < OFFLINE_BELIEVED_MS;
  }

  private planStranger(): void {
    const nowMs = this.shared.clock.monotonic();
    this.strangerSince ??= nowMs;
    if (nowMs - this.strangerSince < STRANGER_LIFE_MS) this.plan(STRANGER_RETRY_MS);
    else {
      this.strangerSince = undefined; // a new queue there starts a new day
      this.offlineSince = undefined;
      this.shared.metrics.smp_given_up_total.inc();
    }
  }
}

/** In the order to try them: .onion last, and without a proxy that leads there only where nothing else is. */
export function usableHosts(hosts: readonly string[], reachesOnion: boolean): string[] {
  const open = hosts.filter((host) => !isOnion(host));
  return reachesOnion || open.length === 0 ? [...open, ...hosts.filter(isOnion)] : open;
}
