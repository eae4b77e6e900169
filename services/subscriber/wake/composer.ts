/**
 * What a push says to the phone, by kind and profile: boxed entries and flags, the key of a verification box, or
 * nothing. Marks in the mailbox what a push carries; sends nothing.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { NONCE_SIZE, PAYLOAD_SIZE } from '../../../shared/relay/batch.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { MAX_ENTRIES } from './mailbox.js';
import type { wakeMetrics } from './metrics.js';
import type { Milestones } from './milestones.js';
import type { Pager } from './pager.js';
import type { PushKind } from './policy.js';
import type { PorchlightSealer } from './porchlight-seal.js';
import type { MessageSealer } from './seal.js';
import type { Verification } from './verification.js';

const EMPTY_PAYLOAD = new Uint8Array(PAYLOAD_SIZE);

export interface Content {
  readonly nonce: Uint8Array;
  readonly payload: Uint8Array;
}

export interface ComposerDeps {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly metrics: MetricHandles<typeof wakeMetrics>;
  readonly milestones: Milestones;
  readonly sealers: { readonly simplex: MessageSealer; readonly porchlight: PorchlightSealer };
}

export class Composer {
  private readonly deps: ComposerDeps;
  private readonly verification: Verification;

  constructor(deps: ComposerDeps, verification: Verification) {
    this.deps = deps;
    this.verification = verification;
  }

  /** Nonce and payload; undefined when nothing is left to tell because it can't be sent. */
  compose(pager: Pager, kind: PushKind): Content | undefined {
    if (kind === 'verification') return this.verification.compose(pager);
    if (kind === 'alert') return this.empty();
    if (pager.route.profile === 'porchlight') return this.porchlight(pager, kind);
    return kind === 'message' ? this.simplex(pager) : this.check(pager);
  }

  private empty(): Content {
    return { nonce: this.deps.crypto.randomBytes(NONCE_SIZE), payload: EMPTY_PAYLOAD };
  }

  /** Profile `simplex`, silent: the phone looks everywhere, so everything is told where signals go this way. */
  private check(pager: Pager): Content {
    const { mailbox, telling } = pager;
    if (telling.includes('silent')) {
      const { entries } = mailbox.window(MAX_ENTRIES);
      mailbox.sent(entries);
      this.deps.milestones.sealed(pager, entries);
    }
    return this.empty();
  }

  private simplex(pager: Pager): Content | undefined {
    const { mailbox, device } = pager;
    const { sealers, metrics, milestones } = this.deps;
    const before = mailbox.size;
    const sealed = sealers.simplex.seal(device.dhSecret, mailbox);
    if (mailbox.size < before) metrics.wake_unsendable_total.inc(before - mailbox.size);
    if (sealed === undefined) return undefined;
    mailbox.sent(sealed.entries);
    milestones.sealed(pager, sealed.entries);
    metrics.wake_sealed_total.inc();
    return sealed;
  }

  /** Untold entries only where this kind tells them: a banner that is still to come must have its news. */
  private porchlight(pager: Pager, kind: PushKind): Content {
    const { mailbox, device, epoch, route } = pager;
    const { sealers, metrics, milestones, clock } = this.deps;
    const maxUntold = pager.telling.includes(kind) ? MAX_ENTRIES : 0;
    const check = pager.isCheckDue(clock.monotonic());
    const { overflow, maybeMissed } = mailbox;
    mailbox.sent(
      mailbox.window(MAX_ENTRIES, maxUntold).entries,
      `${kind} ${overflow} ${maybeMissed} ${check}`,
    );
    const { entries } = mailbox.window(MAX_ENTRIES, maxUntold);
    if (maxUntold > 0) milestones.sealed(pager, entries);
    const header = { overflow, maybeMissed, check, epoch, sequence: mailbox.sequence, time: seconds(clock) };
    metrics.wake_sealed_total.inc();
    return sealers.porchlight.seal(device.dhSecret, { ...header, class: route.class }, entries);
  }
}
