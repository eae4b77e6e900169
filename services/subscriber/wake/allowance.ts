/** How often one device may still be pushed, by kind: its budgets, the gateway's answers `later`, servers' shares. */
import { readyAt, spent } from './budget.js';
import type { AllowanceState } from './pager-state.js';
import { PUSH_RULES, type PushKind } from './policy.js';
import { Shares } from './shares.js';

const LONG_AGO = Number.NEGATIVE_INFINITY;

type Times = Readonly<Record<PushKind, number>>;

/** Shared by all devices that nothing was said of. */
const NEVER_YET: Times = { verification: LONG_AGO, message: LONG_AGO, silent: LONG_AGO, alert: LONG_AGO };

export class Allowance {
  readonly shares = new Shares();
  private budgets: Record<PushKind, number> = { ...NEVER_YET };
  private notBefore = NEVER_YET;

  /** From when on a push of this kind may go; monotonic ms, as everywhere here. */
  readyAt(kind: PushKind): number {
    return Math.max(this.notBefore[kind], readyAt(PUSH_RULES[kind].rate, this.budgets[kind]));
  }

  /** A push was accepted. @param servers whose news were in it */
  spend(kind: PushKind, servers: readonly number[], now: number): void {
    this.budgets[kind] = spent(PUSH_RULES[kind].rate, this.budgets[kind], now);
    this.shares.spend(kind, servers, now);
  }

  /** Pushes of this kind wait; nothing shortens that but a new token. */
  postpone(kind: PushKind, until: number): void {
    this.notBefore = { ...this.notBefore, [kind]: until };
  }

  get state(): AllowanceState {
    return { budgets: this.budgets, notBefore: this.notBefore, shares: this.shares.state };
  }

  restore({ budgets, notBefore, shares }: AllowanceState): void {
    this.budgets = { ...budgets };
    this.notBefore = notBefore;
    this.shares.restore(shares);
  }

  /** What the gateway said of the token before is void. */
  restart(): void {
    this.notBefore = NEVER_YET;
  }
}
