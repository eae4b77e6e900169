/**
 * What the wake engine knows of one device: mailbox, budgets, waits and due dates. Answers when which push may go;
 * does nothing by itself. Times are `Clock.monotonic` milliseconds.
 */
import type { Waiting } from '../../../shared/memory/deadlines.js';
import type { Device } from '../registry/device.js';
import { readyAt, spent } from './budget.js';
import type { Lane } from './lane.js';
import { Mailbox } from './mailbox.js';
import type { MailboxPool } from './mailbox-pool.js';
import { PUSH_RULES, type PushKind, type Readiness } from './policy.js';
import type { ProofResult } from './wake.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A periodic check is left out where a push went in this time; flags are told within it. */
export const QUIET_MS = 20 * MINUTE;
/** A proof is good for 45 days (relay.md §4): from here on the device is asked for a new one, once a day. */
const PROOF_AGE_MS = 30 * DAY;

const NEVER = Number.POSITIVE_INFINITY;
const LONG_AGO = Number.NEGATIVE_INFINITY;

const longAgo = (): Record<PushKind, number> => ({
  verification: LONG_AGO,
  message: LONG_AGO,
  check: LONG_AGO,
});

/** A push, or the exchange that has to come before it, whose result is awaited. */
export interface Flight {
  readonly kind: PushKind;
  /** Of the device when it left: older ones count in metrics only (design §5). */
  readonly generation: number;
  /** The flags that a check tells. */
  readonly overflow: boolean;
  readonly maybeMissed: boolean;
}

export class Pager implements Waiting {
  dueAt = 0;
  place = -1;
  readonly device: Device;
  readonly lane: Lane;
  readonly mailbox: Mailbox;
  /** At most one at a time. */
  flight: Flight | undefined;
  generation: number;
  isGone = false;
  /** The client asked for a verification push. */
  wantsVerification = false;
  /** Row of its capability in the vault. */
  secrets: number | undefined;
  lastProofAt = LONG_AGO;
  lastVerificationAt = LONG_AGO;
  renewAt = NEVER;
  wrongSince = LONG_AGO;
  wrongCodes = 0;
  /** A code that the gateway is judging. */
  proving: { readonly codeHash: Uint8Array; readonly verdict: Promise<ProofResult> } | undefined;
  private lastAcceptedAt = LONG_AGO;
  private readonly coalesceMs: number;
  /** Token buckets (see `budget.ts`). */
  private readonly budgets = longAgo();
  /** Answers `later`. */
  private notBefore = longAgo();
  private lastMessageAt = LONG_AGO;
  private checkMinutes = 0;
  private checkDueAt = NEVER;
  private flagsDueAt = NEVER;

  constructor(device: Device, lane: Lane, pool: MailboxPool, coalesceMs: number) {
    this.device = device;
    this.lane = lane;
    this.mailbox = new Mailbox(pool);
    this.coalesceMs = coalesceMs;
    this.generation = device.generation;
  }

  /** From when on each kind of push may go. */
  readiness(): Readiness {
    const isActive = this.device.status === 'active';
    const hasNews = isActive && this.mailbox.untold > 0;
    return {
      verification: this.ready('verification', this.verificationDueAt()),
      message: this.ready('message', hasNews ? this.lastMessageAt + this.coalesceMs : NEVER),
      check: this.ready('check', isActive ? this.nextCheckAt() : NEVER),
    };
  }

  /** A periodic check whose time has come is left out where a push went a short while ago. */
  skipCheck(now: number): void {
    if (this.checkDueAt > now || now - this.lastAcceptedAt >= QUIET_MS) return;
    const interval = this.checkMinutes * MINUTE;
    this.checkDueAt += interval * Math.ceil((now + 1 - this.checkDueAt) / interval);
  }

  /**
   * The interval of periodic checks as it stands at the device. The first is spread over it.
   * @param chance uniform in [0, 1)
   */
  setChecks(now: number, chance: number): void {
    if (this.device.checkMinutes === this.checkMinutes) return;
    this.checkMinutes = this.device.checkMinutes;
    this.checkDueAt = this.checkMinutes === 0 ? NEVER : now + chance * this.checkMinutes * MINUTE;
  }

  /** The mailbox has flags to tell: with the next check, or one of their own, spread over 20 minutes. */
  setFlagsDue(now: number, chance: number): void {
    if (!this.mailbox.hasFlags) this.flagsDueAt = NEVER;
    else if (this.flagsDueAt === NEVER) this.flagsDueAt = now + chance * QUIET_MS;
  }

  /** Takes the flags out of the mailbox for a check that tells them. */
  takeOff(kind: PushKind, now: number): Flight {
    const { mailbox } = this;
    const isCheck = kind === 'check';
    const flight = {
      kind,
      generation: this.generation,
      overflow: isCheck && mailbox.overflow,
      maybeMissed: isCheck && mailbox.maybeMissed,
    };
    if (isCheck) mailbox.overflow = mailbox.maybeMissed = false;
    if (kind === 'message') this.lastMessageAt = now;
    if (kind === 'verification') this.wantsVerification = false;
    this.flight = flight;
    return flight;
  }

  /** The push was accepted: what it carried is told, and counts in its budget. */
  told({ kind }: Flight, now: number, chance: number): void {
    this.budgets[kind] = spent(PUSH_RULES[kind].rate, this.budgets[kind], now);
    if (kind === 'verification') this.lastVerificationAt = now;
    else this.lastAcceptedAt = now;
    if (kind === 'message') this.mailbox.accepted(Math.floor(now / 1000));
    if (kind !== 'check') return;
    if (this.checkMinutes > 0) this.checkDueAt = now + this.checkMinutes * MINUTE;
    this.flagsDueAt = NEVER;
    this.setFlagsDue(now, chance);
  }

  /** It was not: everything waits as before. */
  untold(flight: Flight): void {
    const { mailbox } = this;
    if (flight.kind === 'message') mailbox.failed();
    if (flight.kind === 'verification') this.wantsVerification = true;
    mailbox.overflow ||= flight.overflow;
    mailbox.maybeMissed ||= flight.maybeMissed;
  }

  /** Pushes of this kind wait; nothing shortens that but a new token. */
  postpone(kind: PushKind, until: number): void {
    this.notBefore[kind] = until;
  }

  /** The device has another token: what is under way to the old one no longer concerns it. */
  restart(): void {
    if (this.flight !== undefined) this.untold(this.flight);
    this.flight = undefined;
    this.generation = this.device.generation;
    this.notBefore = longAgo();
    this.proving = undefined;
  }

  private nextCheckAt(): number {
    return Math.min(this.checkDueAt, this.mailbox.hasFlags ? this.flagsDueAt : NEVER);
  }

  private verificationDueAt(): number {
    if (this.device.status === 'invalid') return NEVER;
    if (this.wantsVerification) return LONG_AGO;
    if (this.device.status !== 'active' || this.secrets === undefined) return NEVER;
    return Math.max(this.lastProofAt + PROOF_AGE_MS, this.lastVerificationAt + DAY);
  }

  private ready(kind: PushKind, dueAt: number): number {
    return Math.max(dueAt, this.notBefore[kind], readyAt(PUSH_RULES[kind].rate, this.budgets[kind]));
  }
}
