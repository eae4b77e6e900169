/**
 * When one server is dialled, and at which of its hosts (design §3). A server that completed an SMP handshake
 * before is tried for ever with jittered back-off; one that never did, hourly for a day: its address may have been
 * made up by a client.
 */
import { Backoff } from '../../../../shared/run/backoff.js';
import type { Clock, Timer } from '../../../../shared/run/clock.js';
import { SocksError } from '../../../../shared/run/socks5.js';
import { ForbiddenAddressError } from './address-guard.js';
import { type Connect, HandshakeError, type Link } from './connector.js';
import type { Gate } from './gate.js';
import { IdentityError } from './identity.js';
import type { SmpMetrics } from './metrics.js';
import { isOnion, type Server } from './servers.js';

const CONNECT_MS = 45_000;
/** How often is looked whether others wait for the place of one that has not answered yet. */
const PATIENCE_MS = 5_000;
const BACKOFF_MIN_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
/** A connection that lived this long starts the back-off anew when it is lost. */
const STABLE_MS = 60_000;
const STRANGER_RETRY_MS = 3_600_000;
const STRANGER_LIFE_MS = 24 * 3_600_000;

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
  /** When a server without a handshake was first tried; undefined again once it was given up. */
  private strangerSince: number | undefined;

  constructor(server: Server, shared: DiallerShared, events: DiallerEvents) {
    this.server = server;
    this.shared = shared;
    this.events = events;
    this.backoff = new Backoff({ minMs: BACKOFF_MIN_MS, maxMs: BACKOFF_MAX_MS, random: shared.random });
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

  /** The connection was lost: dials again after the back-off. */
  lost(): void {
    const lived = this.shared.clock.monotonic() - (this.connectedAt ?? 0);
    if (lived >= STABLE_MS) this.backoff.reset();
    this.plan(this.backoff.next());
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
    this.strangerSince ??= this.shared.clock.monotonic();
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
    const outcome = timedOut ? 'timeout' : outcomeOf(error);
    if (outcome !== 'proxy') this.failures++;
    this.shared.metrics.smp_connects_total.inc({ outcome });
    // A proxy that is away says nothing about a server.
    if (this.known || outcome === 'proxy') this.plan(this.backoff.next());
    else this.planStranger();
    this.events.failed(error instanceof ForbiddenAddressError);
  }

  private planStranger(): void {
    const tried = this.shared.clock.monotonic() - (this.strangerSince ?? 0);
    if (tried < STRANGER_LIFE_MS) this.plan(STRANGER_RETRY_MS);
    else {
      this.strangerSince = undefined; // a new queue there starts a new day
      this.shared.metrics.smp_given_up_total.inc();
    }
  }
}

/** In the order to try them: .onion last, and without a proxy that leads there only where nothing else is. */
export function usableHosts(hosts: readonly string[], reachesOnion: boolean): string[] {
  const open = hosts.filter((host) => !isOnion(host));
  return reachesOnion || open.length === 0 ? [...open, ...hosts.filter(isOnion)] : open;
}

function outcomeOf(error: unknown): 'forbidden' | 'identity' | 'proxy' | 'handshake' | 'unreachable' {
  if (error instanceof ForbiddenAddressError) return 'forbidden';
  if (error instanceof IdentityError) return 'identity';
  if (error instanceof SocksError && error.code !== 'target') return 'proxy';
  return error instanceof HandshakeError ? 'handshake' : 'unreachable';
}
