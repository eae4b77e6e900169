/**
 * Sends what devices have to be told: one push in flight per device, each when budget, waits and gateway allow it,
 * and turns outcomes (relay.md §6) into what happens next. All waiting is in one queue of deadlines.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { Deadlines } from '../../../shared/memory/deadlines.js';
import type { Frame, Outcome } from '../../../shared/relay/batch.js';
import { laterStep } from '../../../shared/relay/constants.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { Composer, type ComposerDeps, type Content } from './composer.js';
import type { MailboxPool } from './mailbox-pool.js';
import type { wakeMetrics } from './metrics.js';
import type { Flight, Pager } from './pager.js';
import { choose, frameKind, lifeSeconds, PUSH_RULES, type PushKind } from './policy.js';
import { type Reaction, reactionTo } from './reactions.js';
import type { Vault } from './vault.js';
import { isCurrent, type Verification } from './verification.js';

const FRAME_ID_SIZE = 16;
const MINUTE = 60_000;
/** A refusal that only a bug explains: kept from repeating itself quickly. */
const BUG_PAUSE_MS = 60 * MINUTE;
/** Should a link say `unavailable` and call itself available. */
const UNAVAILABLE_PAUSE_MS = 1_000;

export interface DispatcherDeps extends ComposerDeps {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof wakeMetrics>;
  readonly pool: MailboxPool;
  readonly vault: Vault;
  readonly random: () => number;
}

export class Dispatcher {
  private readonly deps: DispatcherDeps;
  private readonly verification: Verification;
  private readonly composer: Composer;
  private readonly deadlines: Deadlines<Pager>;

  constructor(deps: DispatcherDeps, verification: Verification) {
    this.deps = deps;
    this.verification = verification;
    this.composer = new Composer(deps, verification);
    this.deadlines = new Deadlines(deps.clock, (pager) => this.pump(pager));
  }

  /** Sends the next push if one may go now; else waits for its time. */
  pump(pager: Pager): void {
    if (pager.mustResend) this.resend(pager);
    if (pager.isGone || pager.flight !== undefined) return;
    const now = this.deps.clock.monotonic();
    const agesAt = pager.mailbox.age(Math.floor(now / 1000));
    pager.skipCheck(now);
    if (pager.renewAt <= now) void this.verification.renew(pager);
    const next = choose(pager.readiness(now), now);
    if ('waitUntil' in next) {
      if (pager.isHeldByShare(now)) this.deps.metrics.wake_stopped_total.inc({ cause: 'server-share' });
      const agesMs = agesAt === undefined ? Number.POSITIVE_INFINITY : agesAt * 1000;
      this.wait(pager, Math.min(next.waitUntil, pager.renewAt, agesMs));
    } else {
      this.deadlines.delete(pager);
      if (pager.lane.admits(pager)) this.send(pager, next.send, now);
      else {
        this.deps.metrics.wake_stopped_total.inc({ cause: 'gateway-away' });
        this.deps.milestones.stopped(pager, 'gateway-away');
      }
    }
  }

  /** The mailbox of a device has flags to tell. */
  flagged(pager: Pager): void {
    pager.setFlagsDue(this.deps.clock.monotonic(), this.deps.random());
  }

  forget(pager: Pager): void {
    this.deadlines.delete(pager);
    pager.lane.forget(pager);
  }

  close(): void {
    this.deadlines.clear();
  }

  private wait(pager: Pager, until: number): void {
    if (until === Number.POSITIVE_INFINITY) this.deadlines.delete(pager);
    else this.deadlines.set(pager, until);
  }

  private send(pager: Pager, kind: PushKind, now: number): void {
    if (pager.secrets === undefined) {
      void this.verification.exchange(pager, pager.takeOff('verification', now));
      return;
    }
    const content = this.composer.compose(pager, kind);
    if (pager.mailbox.hasFlags) this.flagged(pager);
    if (content === undefined) this.pump(pager);
    else this.handOver(pager, pager.takeOff(kind, now), content, pager.secrets);
  }

  private handOver(pager: Pager, flight: Flight, content: Content, secrets: number): void {
    const frame = this.frame(pager, flight, this.deps.vault.capability(secrets), content);
    this.deps.milestones.sent(pager);
    this.deps.log.debug('push sealed', { kind: flight.kind });
    this.fly(pager, flight, frame);
  }

  /** What a predecessor sent: the same bytes under the same id, so that the gateway gives the same outcome. */
  private resend(pager: Pager): void {
    const { flight, frame } = pager;
    if (!flight || !frame || !pager.lane.admits(pager)) return;
    pager.mustResend = false;
    this.fly(pager, flight, frame);
  }

  private fly(pager: Pager, flight: Flight, frame: Frame): void {
    this.deps.metrics.wake_sent_total.inc({ kind: flight.kind });
    pager.frame = frame;
    void pager.lane.link.push(frame).then((outcome) => {
      // The key of the box that the gateway filled.
      if (flight.kind === 'verification') wipe(frame.payload);
      this.settle(pager, flight, outcome, frame.capability);
      wipe(frame.capability);
      wipe(outcome.capability);
    });
  }

  private frame(pager: Pager, flight: Flight, capability: Uint8Array, content: Content): Frame {
    const { kind, servers, overflow, maybeMissed } = flight;
    const { urgent, slot } = PUSH_RULES[kind];
    const isNews = servers.length > 0 || overflow || maybeMissed;
    // By the gateway's clock: by one that is slow the push would be over when it comes there, and never be stored.
    const now = seconds(this.deps.clock) + (pager.lane.link.facts?.clockOffset ?? 0);
    return {
      id: this.deps.crypto.randomBytes(FRAME_ID_SIZE),
      kind: frameKind(kind, pager.route.profile),
      urgent,
      slot,
      expiry: now + lifeSeconds(kind, isNews),
      capability,
      nonce: content.nonce,
      payload: content.payload,
    };
  }

  private settle(pager: Pager, flight: Flight, outcome: Outcome, capability: Uint8Array): void {
    const { metrics, milestones, pool } = this.deps;
    metrics.wake_outcomes_total.inc({ kind: flight.kind, outcome: outcome.kind });
    milestones.answered(pager, outcome.kind);
    const reaction = reactionTo(outcome, isCurrent(pager, flight) ? pager.device.status : 'outdated');
    if (reaction === 'count') metrics.wake_outdated_total.inc();
    else {
      pager.land();
      const isOld = reaction === 'reseal' && !this.verification.isHeld(pager, capability);
      if (isOld) pager.untold(flight);
      else this.react(pager, flight, outcome, reaction);
      metrics.wake_mailbox_entries.set(pool.size);
      this.pump(pager);
    }
  }

  private react(pager: Pager, flight: Flight, outcome: Outcome, reaction: Reaction): void {
    const { clock, log, random } = this.deps;
    const { kind } = flight;
    const now = clock.monotonic();
    // An INVALID device gets a capability for the token that its client sends next.
    const renewed = pager.device.status === 'invalid' ? undefined : outcome.capability;
    if (renewed !== undefined) this.verification.keep(pager, renewed);
    if (reaction !== 'told') pager.untold(flight);
    switch (reaction) {
      case 'told':
        pager.told(flight, now, random());
        if (kind === 'verification') this.verification.delivered(pager);
        break;
      case 'wait':
        // Whatever a gateway says, it is one of the contract's steps: never for ever.
        pager.postpone(kind, now + laterStep(outcome.after) * 1000);
        break;
      case 'hold':
        if (pager.lane.link.available) pager.postpone(kind, now + UNAVAILABLE_PAUSE_MS);
        break;
      case 'invalid':
        this.verification.invalidate(pager, outcome.kind === 'dead' ? outcome.reason : undefined);
        break;
      case 'reseal':
        this.verification.capabilityRefused(pager);
        break;
      case 'pause':
        log.error('push refused', { reason: outcome.reason, kind });
        pager.postpone(kind, now + BUG_PAUSE_MS);
        break;
    }
  }
}
