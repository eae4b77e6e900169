/** One push on its way through a pool. */
import type { Answer, Exchange } from './connection.js';
import type { ApnsPush, ApnsResult } from './engine.js';
import type { Link } from './line.js';
import type { ResendCause } from './metrics.js';
import type { Pool } from './pool.js';
import type { ProviderToken } from './provider-token.js';

/** Resends of unknown outcome count together: lost or timed out, a push goes a second time and never a third. */
const BUDGETS = {
  lost: 1,
  timeout: 1,
  server: 2,
  token: 4,
  connection: 8,
  refused: 0,
} as const satisfies Record<ResendCause, number>;

export class Job implements Exchange {
  readonly push: ApnsPush;
  readonly resolve: (result: ApnsResult) => void;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  writtenAt = 0;
  /** Where it is written and not answered. */
  link: Link | undefined;
  /** Where it comes back from. */
  avoid: Link | undefined;
  /** The provider token it was last sent with. */
  token: ProviderToken | undefined;
  refusals = 0;
  isDone = false;
  /** Its answer decides about a breaker. */
  isProbe = false;
  private readonly pool: Pool;
  private spent = 0;

  constructor(push: ApnsPush, pool: Pool, resolve: (result: ApnsResult) => void, now: number) {
    this.push = push;
    this.pool = pool;
    this.resolve = resolve;
    this.startedAt = now;
  }

  written(link: Link, token: ProviderToken, now: number): void {
    this.link = link;
    this.token = token;
    this.writtenAt = now;
  }

  maySpend(cause: ResendCause): boolean {
    return (this.spent & BUDGETS[cause]) === 0;
  }

  /** Takes the one resend of its kind; false where it was taken before. */
  spend(cause: ResendCause): boolean {
    const may = this.maySpend(cause);
    this.spent |= BUDGETS[cause];
    return may;
  }

  answered(answer: Answer): void {
    const { link } = this;
    if (link !== undefined) this.pool.answered(this, link, answer);
  }
}
