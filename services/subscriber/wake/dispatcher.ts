/**
 * Sends what devices have to be told: one push in flight per device, each when budget, waits and gateway allow it,
 * and turns outcomes (relay.md §6) into what happens next. All waiting is in one queue of deadlines.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { Deadlines } from '../../../shared/memory/deadlines.js';
import { type Frame, NONCE_SIZE, type Outcome, PAYLOAD_SIZE } from '../../../shared/relay/batch.js';
import { laterStep } from '../../../shared/relay/constants.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { MailboxPool } from './mailbox-pool.js';
import type { wakeMetrics } from './metrics.js';
import type { Flight, Pager } from './pager.js';
import { choose, PUSH_RULES, type PushKind } from './policy.js';
import type { MessageSealer } from './seal.js';
import type { Vault } from './vault.js';
import { isCurrent, type Verification } from './verification.js';

const FRAME_ID_SIZE = 16;
const EMPTY_PAYLOAD = new Uint8Array(PAYLOAD_SIZE);
const MINUTE = 60_000;
/** A refusal that only a bug explains: kept from repeating itself quickly. */
const BUG_PAUSE_MS = 60 * MINUTE;
/** Should a link say `unavailable` and call itself available. */
const UNAVAILABLE_PAUSE_MS = 1_000;

type Refusal = Extract<Outcome, { kind: 'refused' }>['reason'];

/** What a frame says to the phone. */
interface Content {
  readonly nonce: Uint8Array;
  readonly payload: Uint8Array;
}

export interface DispatcherDeps {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof wakeMetrics>;
  readonly pool: MailboxPool;
  readonly vault: Vault;
  readonly sealer: MessageSealer;
  readonly random: () => number;
}

export class Dispatcher {
  private readonly deps: DispatcherDeps;
  private readonly verification: Verification;
  private readonly deadlines: Deadlines<Pager>;

  constructor(deps: DispatcherDeps, verification: Verification) {
    this.deps = deps;
    this.verification = verification;
    this.deadlines = new Deadlines(deps.clock, (pager) => this.pump(pager));
  }

  /** Sends the next push if one may go now; else waits for its time. */
  pump(pager: Pager): void {
    if (pager.isGone || pager.flight !== undefined) return;
    const now = this.deps.clock.monotonic();
    const agesAt = pager.mailbox.age(Math.floor(now / 1000));
    pager.skipCheck(now);
    if (pager.renewAt <= now) void this.verification.renew(pager);
    const next = choose(pager.readiness(), now);
    if ('waitUntil' in next) {
      const agesMs = agesAt === undefined ? Number.POSITIVE_INFINITY : agesAt * 1000;
      this.wait(pager, Math.min(next.waitUntil, pager.renewAt, agesMs));
    } else {
      this.deadlines.delete(pager);
      if (pager.lane.admits(pager)) this.send(pager, next.send, now);
      else this.deps.metrics.wake_stopped_total.inc({ cause: 'gateway-away' });
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
    const content = this.compose(pager, kind);
    if (content === undefined) this.pump(pager);
    else this.handOver(pager, pager.takeOff(kind, now), content, pager.secrets);
  }

  private handOver(pager: Pager, flight: Flight, content: Content, secrets: number): void {
    const frame = this.frame(flight.kind, this.deps.vault.capability(secrets), content);
    this.deps.metrics.wake_sent_total.inc({ kind: flight.kind });
    this.deps.log.debug('push sealed', { kind: flight.kind });
    void pager.lane.link.push(frame).then((outcome) => {
      wipe(frame.capability);
      // The key of the box that the gateway filled.
      if (flight.kind === 'verification') wipe(frame.payload);
      this.settle(pager, flight, outcome);
      wipe(outcome.capability);
    });
  }

  /** Nonce and payload; undefined when nothing is left to tell because it can't be sent. */
  private compose(pager: Pager, kind: PushKind): Content | undefined {
    if (kind === 'verification') return this.verification.compose(pager);
    const { crypto, metrics, sealer } = this.deps;
    if (kind === 'check') return { nonce: crypto.randomBytes(NONCE_SIZE), payload: EMPTY_PAYLOAD };
    const before = pager.mailbox.size;
    const sealed = sealer.seal(pager.device.dhSecret, pager.mailbox);
    if (pager.mailbox.size < before) {
      metrics.wake_unsendable_total.inc(before - pager.mailbox.size);
      this.flagged(pager);
    }
    if (sealed === undefined) return undefined;
    pager.mailbox.sent(sealed.entries);
    metrics.wake_sealed_total.inc();
    return sealed;
  }

  private frame(kind: PushKind, capability: Uint8Array, content: Content): Frame {
    const { urgent, slot, lifeSeconds } = PUSH_RULES[kind];
    return {
      id: this.deps.crypto.randomBytes(FRAME_ID_SIZE),
      kind,
      urgent,
      slot,
      expiry: seconds(this.deps.clock) + lifeSeconds,
      capability,
      nonce: content.nonce,
      payload: content.payload,
    };
  }

  private settle(pager: Pager, flight: Flight, outcome: Outcome): void {
    const { metrics, clock, random, pool } = this.deps;
    metrics.wake_outcomes_total.inc({ kind: flight.kind, outcome: outcome.kind });
    if (!isCurrent(pager, flight)) {
      metrics.wake_outdated_total.inc();
      return;
    }
    pager.flight = undefined;
    if (outcome.capability !== undefined) this.verification.keep(pager, outcome.capability);
    if (outcome.kind === 'accepted') {
      pager.told(flight, clock.monotonic(), random());
      if (flight.kind === 'verification') this.verification.delivered(pager);
    } else {
      pager.untold(flight);
      this.failed(pager, flight.kind, outcome);
    }
    metrics.wake_mailbox_entries.set(pool.size);
    this.pump(pager);
  }

  private failed(pager: Pager, kind: PushKind, outcome: Outcome): void {
    const now = this.deps.clock.monotonic();
    if (outcome.kind === 'later') {
      // Whatever a gateway says, it is one of the contract's steps: never for ever.
      pager.postpone(kind, now + laterStep(outcome.after) * 1000);
    } else if (outcome.kind === 'dead') {
      this.verification.invalidate(pager, outcome.reason);
    } else if (outcome.kind === 'refused') {
      this.refused(pager, kind, outcome.reason);
    } else if (pager.lane.link.available) {
      pager.postpone(kind, now + UNAVAILABLE_PAUSE_MS);
    }
  }

  private refused(pager: Pager, kind: PushKind, reason: Refusal): void {
    if (reason === 'wrong-subscriber' || reason === 'malformed') {
      this.deps.log.error('push refused', { reason, kind });
      pager.postpone(kind, this.deps.clock.monotonic() + BUG_PAUSE_MS);
    } else {
      this.verification.capabilityRefused(pager);
    }
  }
}
