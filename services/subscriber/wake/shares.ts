/**
 * Fairness between messaging servers: one of several may cause at most half of a device's pushes, so that none can
 * use up what the others need. Remembers only servers whose half is not whole again, and those of one device only.
 */
import { half, readyAt, spent } from './budget.js';
import { PUSH_RULES, type PushKind } from './policy.js';

/** Servers and kinds remembered; where there are more, none of them comes near half. */
const MAX_SHARES = 16;

export interface Share {
  readonly server: number;
  readonly kind: PushKind;
  /** Token bucket (see `budget.ts`). */
  fullAt: number;
}

const LONG_AGO = Number.NEGATIVE_INFINITY;

export class Shares {
  private shares: Share[] = [];

  /** Whether some server has used up its half: rarely, so that this is asked first. */
  isUsedUp(kind: PushKind, now: number): boolean {
    const rate = half(PUSH_RULES[kind].rate);
    return this.shares.some((share) => share.kind === kind && readyAt(rate, share.fullAt) > now);
  }

  /** When one of these servers may cause a push of this kind. */
  readyAt(kind: PushKind, servers: readonly number[]): number {
    const rate = half(PUSH_RULES[kind].rate);
    const fullAt = (server: number): number => this.find(kind, server)?.fullAt ?? LONG_AGO;
    return Math.min(...servers.map((server) => readyAt(rate, fullAt(server))));
  }

  /** Each of these servers had news in a push. */
  spend(kind: PushKind, servers: readonly number[], now: number): void {
    this.shares = this.shares.filter(({ fullAt }) => fullAt > now);
    for (const server of servers) {
      const share = this.find(kind, server) ?? this.add(kind, server);
      share.fullAt = spent(half(PUSH_RULES[kind].rate), share.fullAt, now);
    }
  }

  get state(): readonly Share[] {
    return this.shares;
  }

  restore(shares: readonly Share[]): void {
    this.shares = shares.slice(0, MAX_SHARES).map((share) => ({ ...share }));
  }

  private find(kind: PushKind, server: number): Share | undefined {
    return this.shares.find((share) => share.server === server && share.kind === kind);
  }

  private add(kind: PushKind, server: number): Share {
    if (this.shares.length >= MAX_SHARES) {
      const least = this.shares.reduce((a, b) => (a.fullAt <= b.fullAt ? a : b));
      this.shares = this.shares.filter((share) => share !== least);
    }
    const share = { server, kind, fullAt: LONG_AGO };
    this.shares.push(share);
    return share;
  }
}
