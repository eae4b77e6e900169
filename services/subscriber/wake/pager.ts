/**
 * What the wake engine knows of one device: mailbox, budgets, waits and due dates. Answers when which push may go;
 * does nothing by itself. Times are `Clock.monotonic` milliseconds.
 */

import { concat, wipe } from '../../../shared/encoding/bytes.js';
import type { Waiting } from '../../../shared/memory/deadlines.js';
import type { Frame } from '../../../shared/relay/batch.js';
import type { Device } from '../registry/device.js';
import { Allowance } from './allowance.js';
import type { Lane } from './lane.js';
import { Mailbox } from './mailbox.js';
import type { MailboxPool } from './mailbox-pool.js';
import type { PagerState } from './pager-state.js';
import { newsKinds, type PushKind, type Readiness } from './policy.js';
import type { Route } from './route.js';
import type { ProofResult } from './wake.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A periodic check is left out where a push went in this time; flags are told within it. */
export const QUIET_MS = 20 * MINUTE;
/** A proof is good for 45 days (relay.md §4): from here on the device is asked for a new one, once a day. */
const PROOF_AGE_MS = 30 * DAY;

const NEVER = Number.POSITIVE_INFINITY;
const LONG_AGO = Number.NEGATIVE_INFINITY;

/** A push, or the exchange that has to come before it, whose result is awaited. */
export interface Flight {
  readonly kind: PushKind;
  /** Of the device when it left: older ones count in metrics only (design §5). */
  readonly generation: number;
  /** The flags that it tells. */
  readonly overflow: boolean;
  readonly maybeMissed: boolean;
  /** It is a periodic wake-up as well. */
  readonly isCheck: boolean;
  /** Whose news it tells. */
  readonly servers: readonly number[];
}

export class Pager implements Waiting {
  dueAt = 0;
  place = -1;
  readonly device: Device;
  readonly route: Route;
  readonly lane: Lane;
  readonly mailbox: Mailbox;
  /** Kinds of push that tell signals. */
  readonly telling: readonly PushKind[];
  /** u16: sequence numbers of another registration don't compare with ours. */
  readonly epoch: number;
  /** At most one at a time. */
  flight: Flight | undefined;
  /** What the flight consists of: a successor sends the same bytes under the same id. */
  frame: Frame | undefined;
  /** The flight was a predecessor's: its frame is still to be sent by us. */
  mustResend = false;
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
  private readonly allowance = new Allowance();
  private lastAcceptedAt = LONG_AGO;
  private lastNewsAt = LONG_AGO;
  /** When the untold signals may be told, as far as their delay goes. */
  private newsDueAt = NEVER;
  /** A signal came since the last alert. */
  private wantsAlert = false;
  private checkMinutes = 0;
  private checkDueAt = NEVER;
  private flagsDueAt = NEVER;

  constructor(device: Device, route: Route, pool: MailboxPool, epoch: number) {
    this.device = device;
    this.route = route;
    this.lane = route.lane;
    this.mailbox = new Mailbox(pool);
    this.telling = newsKinds(route.mode, route.class);
    this.epoch = epoch;
    this.generation = device.generation;
  }

  /** From when on each kind of push may go. */
  readiness(now: number): Readiness {
    const isActive = this.device.status === 'active';
    const newsAt = isActive && this.mailbox.untold > 0 ? this.newsAt() : NEVER;
    const silentNewsAt = this.tells('silent', newsAt, now);
    return {
      verification: this.ready('verification', this.verificationDueAt()),
      message: this.ready('message', this.tells('message', newsAt, now)),
      silent: this.ready('silent', Math.min(silentNewsAt, isActive ? this.nextCheckAt() : NEVER)),
      alert: this.ready('alert', this.wantsAlert ? this.tells('alert', newsAt, now) : NEVER),
    };
  }

  /** Whether news waits for nothing but its server's share. */
  isHeldByShare(now: number): boolean {
    if (this.device.status !== 'active' || this.mailbox.untold === 0 || this.newsAt() > now) return false;
    return this.telling.every((kind) => this.allowance.readyAt(kind) <= now && this.shareAt(kind, now) > now);
  }

  /** A periodic check whose time has come is left out where a push went a short while ago. */
  skipCheck(now: number): void {
    if (!this.isCheckDue(now) || now - this.lastAcceptedAt >= QUIET_MS) return;
    const interval = this.checkMinutes * MINUTE;
    this.checkDueAt += interval * Math.ceil((now + 1 - this.checkDueAt) / interval);
  }

  isCheckDue(now: number): boolean {
    return this.checkDueAt <= now;
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

  /** The mailbox has flags to tell: with the next push that can, or one of their own, spread over 20 minutes. */
  setFlagsDue(now: number, chance: number): void {
    if (!this.mailbox.hasFlags) this.flagsDueAt = NEVER;
    else if (this.flagsDueAt === NEVER) this.flagsDueAt = now + chance * QUIET_MS;
  }

  /** A signal is about to come: it rides with those that wait, or its own delay begins. */
  expectNews(now: number, chance: number): void {
    this.wantsAlert = true;
    const isFirst = this.mailbox.untold === 0 || this.newsDueAt === NEVER;
    if (isFirst) this.newsDueAt = now + chance * this.route.delayMs;
  }

  /** The push has been composed: takes out of the mailbox the flags that it tells. */
  takeOff(kind: PushKind, now: number): Flight {
    const { mailbox } = this;
    const hasFlags = this.carriesFlags(kind);
    const flight = {
      kind,
      generation: this.generation,
      overflow: hasFlags && mailbox.overflow,
      maybeMissed: hasFlags && mailbox.maybeMissed,
      isCheck: kind === 'silent' && (this.route.profile === 'simplex' || this.isCheckDue(now)),
      servers: this.telling.includes(kind) ? mailbox.untoldServers(kind !== 'alert') : [],
    };
    if (hasFlags) mailbox.overflow = mailbox.maybeMissed = false;
    if (this.telling.includes(kind)) this.newsLeaves(kind, now);
    if (kind === 'verification') this.wantsVerification = false;
    this.flight = flight;
    return flight;
  }

  /** The push was accepted: what it carried is told, and counts in its budget. */
  told({ kind, isCheck, servers }: Flight, now: number, chance: number): void {
    if (this.hasBudgets) this.allowance.spend(kind, servers, now);
    // An alert tells nothing: the app has not been woken, and the next silent push has the news.
    if (kind === 'alert') return;
    this.lastAcceptedAt = now;
    if (kind === 'verification') {
      this.lastVerificationAt = now;
      return;
    }
    this.mailbox.accepted(Math.floor(now / 1000));
    if (isCheck && this.checkMinutes > 0) this.checkDueAt = now + this.checkMinutes * MINUTE;
    if (!this.carriesFlags(kind)) return;
    this.flagsDueAt = NEVER;
    this.setFlagsDue(now, chance);
  }

  /** It was not: everything waits as before. */
  untold({ kind, overflow, maybeMissed }: Flight): void {
    const { mailbox } = this;
    if (kind === 'verification') this.wantsVerification = true;
    else if (kind === 'alert') this.wantsAlert = true;
    else mailbox.failed();
    if (this.telling.includes(kind)) this.newsDueAt = LONG_AGO;
    mailbox.overflow ||= overflow;
    mailbox.maybeMissed ||= maybeMissed;
  }

  /** Pushes of this kind wait; nothing shortens that but a new token. */
  postpone(kind: PushKind, until: number): void {
    this.allowance.postpone(kind, until);
  }

  /** The device has another token: what is under way to the old one no longer concerns it. */
  restart(): void {
    if (this.flight !== undefined) this.untold(this.flight);
    this.land();
    this.generation = this.device.generation;
    this.allowance.restart();
    this.proving = undefined;
  }

  /** Nothing is in flight any more. */
  land(): void {
    // A frame that was handed over is wiped by whoever waits for its outcome.
    if (this.mustResend) wipe(this.frame?.capability, this.frame?.payload);
    this.flight = undefined;
    this.frame = undefined;
    this.mustResend = false;
  }

  /** All that a successor needs but what the vault holds. Arrays are views. */
  get state(): Omit<PagerState, 'secrets'> {
    const { epoch, generation, wantsVerification, wantsAlert, wrongCodes, checkMinutes, flight, frame } =
      this;
    const { lastProofAt, lastVerificationAt, renewAt, wrongSince } = this;
    const { lastAcceptedAt, lastNewsAt, newsDueAt, checkDueAt, flagsDueAt } = this;
    return {
      ...{ epoch, generation, wantsVerification, wantsAlert, wrongCodes, checkMinutes },
      ...{ lastProofAt, lastVerificationAt, renewAt, wrongSince },
      ...{ lastAcceptedAt, lastNewsAt, newsDueAt, checkDueAt, flagsDueAt },
      slot: this.device.slot,
      allowance: this.allowance.state,
      mailbox: this.mailbox.state,
      flight: flight && { ...flight, frame },
    };
  }

  /** Takes over what a predecessor knew; a push in flight is to be sent again. */
  restore({ slot: _, secrets: __, epoch: ___, allowance, mailbox, flight, ...facts }: PagerState): void {
    Object.assign(this, facts);
    this.allowance.restore(allowance);
    this.mailbox.restore(mailbox);
    if (flight === undefined) return;
    const { frame, ...own } = flight;
    // The exchange for a capability is begun anew.
    if (frame === undefined) this.untold(own);
    else {
      this.flight = own;
      this.frame = copied(frame);
      this.mustResend = true;
    }
  }

  /** Stock apps have no place for flags but a check, which says "look everywhere". */
  private carriesFlags(kind: PushKind): boolean {
    return kind === 'silent' || (kind === 'message' && this.route.profile === 'porchlight');
  }

  private newsLeaves(kind: PushKind, now: number): void {
    const { mailbox } = this;
    this.lastNewsAt = now;
    this.wantsAlert = false;
    // What did not fit has waited as long as what did.
    const isAllAboard = mailbox.untoldInFlight === mailbox.untold;
    if (kind !== 'alert') this.newsDueAt = isAllAboard ? NEVER : LONG_AGO;
  }

  /** Also after it has changed its token, and with it the environment. */
  private get hasBudgets(): boolean {
    return this.device.environment !== 'test' || this.route.testBudgets;
  }

  private newsAt(): number {
    return Math.max(this.newsDueAt, this.lastNewsAt + this.route.coalesceMs);
  }

  private tells(kind: PushKind, newsAt: number, now: number): number {
    if (newsAt === NEVER || !this.telling.includes(kind)) return NEVER;
    return Math.max(newsAt, this.shareAt(kind, now));
  }

  /** When the servers with untold signals may cause a push; no waiting for others' sake where there are none. */
  private shareAt(kind: PushKind, now: number): number {
    const { shares } = this.allowance;
    if (!shares.isUsedUp(kind, now)) return LONG_AGO;
    const servers = this.mailbox.untoldServers();
    const at = shares.readyAt(kind, servers);
    if (at <= now || servers.length > 1) return at;
    return this.route.isOnlyServer(this.mailbox.oldestUntold!) ? LONG_AGO : at;
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
    return dueAt === NEVER ? NEVER : Math.max(dueAt, this.allowance.readyAt(kind));
  }
}

/** Frames are read as views. */
const copied = (frame: Frame): Frame => ({
  ...frame,
  id: concat(frame.id),
  capability: concat(frame.capability),
  nonce: concat(frame.nonce),
  payload: concat(frame.payload),
});
