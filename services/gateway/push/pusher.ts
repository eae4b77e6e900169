/**
 * The way of one frame: known id, capability, first-contact stop, device limits, rendering, Apple, outcome. Runs
 * without waiting up to the APNs engine. The device token is in memory in clear from opening to Apple's answer.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { latin1, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import type { Frame, FrameKind, Outcome } from '../../../shared/relay/batch.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { ApnsEngine, ApnsPush, ApnsResult } from '../apns/engine.js';
import type { Apps } from '../apps.js';
import type { Capabilities } from '../capabilities/capabilities.js';
import type { OpenCapability } from '../capabilities/capability.js';
import type { DeviceLimits } from '../limits/devices.js';
import type { FirstContacts } from '../limits/first-contacts.js';
import type { Subscribers } from '../limits/subscribers.js';
import type { gatewayMetrics, Milestone } from '../metrics.js';
import { FrameIds } from './frame-ids.js';
import { later, MALFORMED, outcomeOf, PROVIDER_DOWN, refused } from './outcomes.js';
import { limitedAs, renderPush } from './rendering.js';

/** Who signed the request. */
export interface Signer {
  /** SHA-256(raw public key)[0..16], as bytes and one character a byte. */
  readonly tag: Uint8Array;
  readonly tagText: string;
}

export interface PusherOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof gatewayMetrics>;
  readonly apps: Apps;
  readonly capabilities: Capabilities;
  readonly devices: DeviceLimits;
  readonly subscribers: Subscribers;
  readonly firstContacts: FirstContacts;
  readonly engine: ApnsEngine;
  /** Frame ids kept for established subscribers; newcomers have a tenth of that, apart. */
  readonly frameIds: number;
}

export class Pusher {
  private readonly options: PusherOptions;
  private readonly ids: FrameIds;
  private readonly newcomerIds: FrameIds;

  constructor(options: PusherOptions) {
    this.options = options;
    this.ids = new FrameIds(options.frameIds);
    this.newcomerIds = new FrameIds(Math.ceil(options.frameIds / 10));
  }

  /** Frame ids remembered now. */
  get remembered(): number {
    return this.ids.size + this.newcomerIds.size;
  }

  /** Runs a frame; `done` is called exactly once, perhaps before this returns. */
  push(frame: Frame, signer: Signer, done: (outcome: Outcome) => void): void {
    const { clock, subscribers } = this.options;
    const key = signer.tagText + latin1(frame.id);
    const known = this.ids.has(key) ? this.ids : this.newcomerIds.has(key) ? this.newcomerIds : undefined;
    const ids = known ?? (subscribers.account(signer.tagText).established ? this.ids : this.newcomerIds);
    if (!ids.begin(key, done, clock.monotonic())) return;
    this.options.log.debug('frame received', { kind: frame.kind });
    this.reached('received');
    const finish = (outcome: Outcome): void => {
      this.count(frame, outcome);
      ids.finish(key, outcome);
    };
    try {
      this.run(frame, signer, finish);
    } catch {
      // For example a key folder that can't be read: without an outcome the request would never end.
      this.options.log.error('push failed', { kind: frame.kind });
      finish(PROVIDER_DOWN);
    }
  }

  private run(frame: Frame, signer: Signer, finish: (outcome: Outcome) => void): void {
    const open = this.options.capabilities.open(frame.capability, signer.tag);
    if (typeof open === 'string') {
      finish(refused(open));
      return;
    }
    const push = this.prepared(frame, open, signer);
    if ('kind' in push) {
      wipe(open.plaintext);
      finish(push);
      return;
    }
    this.reached('admitted');
    this.options.log.debug('push sent', { kind: frame.kind });
    const since = this.options.clock.monotonic();
    this.options.engine.send(push).then(
      (result) => {
        this.answered(result, since);
        finish(this.conclude(result, open, signer));
      },
      () => finish(this.conclude({ kind: 'unavailable', reason: 'provider-down' }, open, signer)),
    );
  }

  /** The same as `prepare`; a failure leaves no token behind. */
  private prepared(frame: Frame, open: OpenCapability, signer: Signer): ApnsPush | Outcome {
    try {
      return this.prepare(frame, open, signer);
    } catch (error) {
      wipe(open.plaintext);
      throw error;
    }
  }

  /** Everything between the opened capability and Apple; an outcome where the frame ends here. */
  private prepare(frame: Frame, open: OpenCapability, signer: Signer): ApnsPush | Outcome {
    const { crypto, clock, apps, capabilities } = this.options;
    const app = apps.find(open.appTag, open.environment);
    // A stranger gets verification pushes to a device, and nothing else (relay.md §5).
    if (app === undefined || (!open.proven && frame.kind !== 'verification')) return MALFORMED;
    const limited = this.limit(limitedAs(frame, app), open, signer);
    if (limited !== undefined) return limited;
    try {
      return renderPush(crypto, frame, open, app, () => capabilities.draw(open), seconds(clock));
    } catch (error) {
      if (error instanceof DecodeError) return MALFORMED;
      this.options.log.error('push cannot be made', { kind: frame.kind });
      return PROVIDER_DOWN;
    }
  }

  private limit(kind: FrameKind, open: OpenCapability, signer: Signer): Outcome | undefined {
    const { devices, firstContacts, subscribers, clock } = this.options;
    const stopped = open.proven ? 0 : firstContacts.stoppedSeconds(signer.tagText);
    if (stopped > 0) return later('budget', stopped);
    const onNew = () => subscribers.establish(signer.tagText).sawDevice(clock.monotonic());
    const refusal = devices.take(open, kind, onNew);
    return refusal && later(refusal.reason, refusal.afterSeconds);
  }

  private conclude(result: ApnsResult, open: OpenCapability, signer: Signer): Outcome {
    const { firstContacts, log } = this.options;
    if (!open.proven && (result.kind === 'accepted' || result.kind === 'dead')) {
      firstContacts.answered(signer.tagText, result.kind === 'dead');
    }
    if (result.kind === 'rejected') log.error('Apple takes no such push', { reason: result.reason });
    const outcome = outcomeOf(result, open.proven);
    const capability = result.kind === 'accepted' ? this.renewal(open) : undefined;
    wipe(open.plaintext);
    return capability === undefined ? outcome : { ...outcome, capability };
  }

  private reached(milestone: Milestone): void {
    this.options.metrics.milestones_total.inc({ milestone });
  }

  /** Counts and times what Apple itself said; a push that found no connection or no room had no answer. */
  private answered(result: ApnsResult, since: number): void {
    const isApples = result.kind !== 'unavailable' && !(result.kind === 'later' && result.reason === 'load');
    if (!isApples) return;
    this.reached('answered');
    this.options.metrics.frame_seconds.observe((this.options.clock.monotonic() - since) / 1000);
  }

  /** No renewal is no reason to fail a push: the next one tries again. */
  private renewal(open: OpenCapability): Uint8Array | undefined {
    try {
      return this.options.capabilities.renewal(open);
    } catch {
      this.options.log.error('capability cannot be renewed');
      return undefined;
    }
  }

  private count(frame: Frame, outcome: Outcome): void {
    const { kind, reason } = outcome;
    this.options.metrics.frames_total.inc({ kind: frame.kind, outcome: kind, reason });
  }
}
