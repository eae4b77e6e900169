/**
 * One place for a connection in a pool: dials, waits between attempts, asks silent peers whether they are there, and
 * puts a new connection in the place of one that goes away. It never touches pushes.
 */
import { Backoff } from '../../../shared/run/backoff.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { Connection, Dial } from './connection.js';
import type { ApnsLimits } from './options.js';
import { type ProviderTokens, TokenLease } from './provider-token.js';

/** An open connection with what the pool knows about it. */
export interface Link {
  readonly connection: Connection;
  readonly lease: TokenLease;
  readonly line: Line;
  /** Requests written and not yet answered. */
  inFlight: number;
  /** An answer has shown that Apple accepts the provider token here; one stream until then (apns.md §9). */
  proven: boolean;
  /** A request was not answered in time, and no PING since. */
  suspect: boolean;
  /** Something was heard since the last look. */
  heard: boolean;
}

export type LineEvent = 'opened' | 'failed' | 'goaway' | 'lost';

export interface LineOptions {
  readonly dial: Dial;
  readonly tokens: ProviderTokens;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits: ApnsLimits;
  /** Something happened; afterwards there may be room for pushes, or none. `word` is Apple's or Node's. */
  readonly changed: (event: LineEvent | 'settings', word?: string) => void;
}

/** A dialled connection, before and after it is a link. */
interface Attempt {
  connection: Connection;
  link: Link | undefined;
  readonly startedAt: number;
  /** The limit on connecting; then the wait for the next look; then the wait for a pong; then the limit on draining. */
  timer: Timer | undefined;
}

export class Line {
  /** Where pushes go; undefined while nothing is open. */
  link: Link | undefined;
  private readonly options: LineOptions;
  private readonly backoff: Backoff;
  private readonly retired = new Set<Attempt>();
  private attempt: Attempt | undefined;
  private retry: Timer | undefined;
  /** The last connection ended, or never came, without one good answer. */
  private failed = false;
  private closed = false;

  constructor(options: LineOptions) {
    this.options = options;
    const { reconnectMinMs: minMs, reconnectMaxMs: maxMs } = options.limits;
    this.backoff = new Backoff({ minMs, maxMs, random: options.random });
  }

  /** Nothing is open and what was tried last did not work. */
  get isDown(): boolean {
    return this.failed && this.link === undefined;
  }

  /** There is work: connects, unless that is under way or must wait. */
  wake(): void {
    if (this.attempt === undefined && this.retry === undefined && !this.closed) this.connect();
  }

  /** A good answer came: the whole of Apple's limit may be used, and back-off starts anew. */
  prove(link: Link): void {
    link.proven = true;
    if (link !== this.link) return;
    this.failed = false;
    this.backoff.reset();
  }

  /** Gives the connection up: streams under way may finish, nothing new goes there. */
  retire(link: Link): void {
    if (this.attempt !== undefined && this.link === link) this.leave(this.attempt);
  }

  /** The same, because of its provider token: the next connection need not wait for what this one did. */
  renew(link: Link): void {
    if (this.attempt === undefined || this.link !== link) return;
    link.proven = true;
    this.leave(this.attempt);
    this.retry?.cancel();
    this.retry = undefined;
  }

  /** A request got no answer: nothing goes there until a PING is answered. */
  suspect(link: Link): void {
    if (this.link !== link || link.suspect) return;
    link.suspect = true;
    this.ping(this.attempt!, link);
  }

  /** Ends for good; streams may finish first unless `now`. */
  close(now: boolean): void {
    this.closed = true;
    this.retry?.cancel();
    if (this.attempt !== undefined) this.leave(this.attempt);
    if (now) for (const { connection } of this.retired) connection.destroy();
  }

  private connect(): void {
    const { dial, clock, limits } = this.options;
    const connection = dial({
      settings: () => this.settings(attempt),
      goaway: (reason) => this.gone(attempt, 'goaway', reason),
      closed: (code) => this.over(attempt, code),
    });
    const timer = clock.after(limits.connectMs, () => connection.destroy());
    const attempt: Attempt = { connection, link: undefined, startedAt: clock.monotonic(), timer };
    this.attempt = attempt;
  }

  private settings(attempt: Attempt): void {
    if (attempt !== this.attempt) return;
    const isFirst = attempt.link === undefined;
    if (isFirst) {
      const { tokens, clock } = this.options;
      const lease = new TokenLease(tokens, clock);
      const { connection } = attempt;
      attempt.link = {
        connection,
        lease,
        line: this,
        inFlight: 0,
        proven: false,
        suspect: false,
        heard: true,
      };
      this.link = attempt.link;
      this.listen(attempt, attempt.link);
    }
    this.options.changed(isFirst ? 'opened' : 'settings');
  }

  private over(attempt: Attempt, code: string | undefined): void {
    if (!this.retired.delete(attempt)) this.gone(attempt, attempt.link ? 'lost' : 'failed', code);
    this.retired.delete(attempt);
    attempt.timer?.cancel(); // of draining too, which has no more to end
  }

  private gone(attempt: Attempt, event: LineEvent, word: string | undefined): void {
    if (attempt !== this.attempt) return;
    this.leave(attempt);
    this.options.changed(event, word);
  }

  /** Frees the place, lets the connection drain, and sees to the next one. */
  private leave(attempt: Attempt): void {
    const { link } = attempt;
    this.attempt = undefined;
    this.link = undefined;
    attempt.timer?.cancel();
    this.retired.add(attempt);
    // A half-open one would drain for as long as the kernel believes in it.
    attempt.timer = this.options.clock.after(this.options.limits.pushMs, () => attempt.connection.destroy());
    attempt.connection.drain();
    if (link === undefined) attempt.connection.destroy();
    if (this.closed) return;
    this.failed = link?.proven !== true;
    this.pause(this.failed ? this.backoff.next() : this.sinceStart(attempt));
  }

  /** A good connection is replaced at once, unless it lived only for a moment. */
  private sinceStart(attempt: Attempt): number {
    const { clock, limits } = this.options;
    return Math.max(0, limits.reconnectMinMs - (clock.monotonic() - attempt.startedAt));
  }

  /** After a failure the line comes back by itself; after a good connection only when there is work. */
  private pause(ms: number): void {
    this.retry = this.options.clock.after(ms, () => {
      this.retry = undefined;
      if (this.failed) this.connect();
      else this.options.changed('settings');
    });
  }

  /** Looks now and then whether something was heard; silence is answered by a PING. */
  private listen(attempt: Attempt, link: Link): void {
    const { clock, limits } = this.options;
    link.heard = false;
    attempt.timer?.cancel();
    attempt.timer = clock.after(limits.pingIdleMs, () => {
      if (link.heard) this.listen(attempt, link);
      else this.ping(attempt, link);
    });
  }

  private ping(attempt: Attempt, link: Link): void {
    const { clock, limits, changed } = this.options;
    attempt.timer?.cancel();
    attempt.timer = clock.after(limits.pongMs, () => link.connection.destroy());
    link.connection.ping(() => {
      if (this.link !== link) return;
      const wasSuspect = link.suspect;
      link.suspect = false;
      this.listen(attempt, link);
      if (wasSuspect) changed('settings');
    });
  }
}

/**
 * The connection with the fewest pushes under way that has room for one more; any is better than the one that this
 * push comes back from. Before its first good answer a connection takes one at a time (apns.md §9).
 */
export function freest(lines: readonly Line[], streams: number, avoid: Link | undefined): Link | undefined {
  let best: Link | undefined;
  let fallback: Link | undefined;
  for (const { link } of lines) {
    if (link === undefined || !hasRoom(link, streams)) continue;
    if (link === avoid) fallback = link;
    else if (best === undefined || link.inFlight < best.inFlight) best = link;
  }
  return best ?? fallback;
}

const hasRoom = ({ suspect, proven, inFlight, connection }: Link, streams: number): boolean =>
  !suspect && inFlight < Math.min(proven ? streams : 1, connection.maxStreams);
