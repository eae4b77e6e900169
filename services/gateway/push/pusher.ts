/**
 * The way of one frame: known id, capability, first-contact stop, device limits, rendering, Apple, outcome. Runs
 * without waiting up to the APNs engine, except where the gate asks other gateways. The device token is in memory in
 * clear from opening to Apple's answer.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { latin1, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import type { Frame, Outcome } from '../../../shared/relay/batch.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { ApnsEngine, ApnsPush, ApnsResult } from '../apns/engine.js';
import type { App, Apps } from '../apps.js';
import type { Capabilities } from '../capabilities/capabilities.js';
import type { OpenCapability } from '../capabilities/capability.js';
import type { Revocations } from '../capabilities/revocations.js';
import type { Contact, FirstContacts } from '../limits/first-contacts.js';
import type { FrameGate, GateAnswer } from '../limits/frame-gate.js';
import type { Subscribers } from '../limits/subscribers.js';
import type { gatewayMetrics, Milestone } from '../metrics.js';
import { BREAKER_OPEN, type Doubts, type Judge } from './doubts.js';
import { FrameIds } from './frame-ids.js';
import { later, MALFORMED, outcomeOf, PROVIDER_DOWN, refused } from './outcomes.js';
import { limitedAs, renderPush } from './rendering.js';

/** Who signed the request. */
export interface Signer {
  /** SHA-256(raw public key)[0..16], as bytes and one character a byte. */
  readonly tag: Uint8Array;
  readonly tagText: string;
  /** Address block that the request came from. */
  readonly block: string;
}

type Finish = (outcome: Outcome) => void;

/** A frame whose capability is open; whoever ends it wipes that. */
interface Way {
  readonly frame: Frame;
  readonly open: OpenCapability;
  readonly signer: Signer;
  readonly finish: Finish;
}

export interface PusherOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof gatewayMetrics>;
  readonly apps: Apps;
  readonly capabilities: Capabilities;
  readonly revocations: Pick<Revocations, 'refusedByApple'>;
  readonly gate: FrameGate;
  readonly subscribers: Subscribers;
  readonly firstContacts: FirstContacts;
  readonly doubts: Doubts;
  readonly engine: ApnsEngine;
  /** Frame ids kept for established subscribers; newcomers have a tenth of that, apart. */
  readonly frameIds: number;
}

const NO_CONTACT: Contact = { answered: () => {} };

const wordOf = ({ kind }: ApnsResult): Parameters<Contact['answered']>[0] =>
  kind === 'accepted' ? 'accepted' : kind === 'dead' ? 'refused' : undefined;

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

  private run(frame: Frame, signer: Signer, finish: Finish): void {
    const open = this.options.capabilities.open(frame.capability, signer.tag);
    if (typeof open === 'string') {
      finish(refused(open));
      return;
    }
    const way: Way = { frame, open, signer, finish };
    this.guarded(way, () => this.ask(way));
  }

  /** Does a step; where it fails, the frame ends and no token is left behind. */
  private guarded(way: Way, step: () => void): void {
    try {
      step();
    } catch {
      // For example a key folder that can't be read: without an outcome the request would never end.
      this.options.log.error('push failed', { kind: way.frame.kind });
      this.end(way, PROVIDER_DOWN);
    }
  }

  private end({ open, finish }: Way, outcome: Outcome): void {
    wipe(open.plaintext);
    finish(outcome);
  }

  /** First-contact stop and breakers, then the gate. */
  private ask(way: Way): void {
    const { frame, open, signer } = way;
    const { apps, gate, subscribers, clock } = this.options;
    const app = apps.find(open.appTag, open.environment);
    const ended = app === undefined ? MALFORMED : this.stopped(way, app);
    if (ended !== undefined) {
      this.end(way, ended);
      return;
    }
    const onNew = () => subscribers.establish(signer.tagText).sawDevice(clock.monotonic());
    const asked = { id: frame.id, open, kind: limitedAs(frame, app!), onNew };
    gate.pass(asked, (answer) => this.goOn(way, app!, answer));
  }

  /** A stranger gets verification pushes to a device and nothing else (relay.md §5), and not without end. */
  private stopped({ frame, open, signer }: Way, { topic }: App): Outcome | undefined {
    const { doubts, firstContacts } = this.options;
    if (!open.proven && frame.kind !== 'verification') return MALFORMED;
    const refusal = doubts.refusal({ ...open, topic });
    if (refusal !== undefined) return outcomeOf(refusal, open.proven);
    const wait = open.proven ? 0 : firstContacts.wait(signer);
    return wait > 0 ? later('budget', wait) : undefined;
  }

  /** Renders and sends what the gate let through. */
  private goOn(way: Way, app: App, answer: GateAnswer): void {
    if (typeof answer !== 'function') {
      this.end(way, answer);
      return;
    }
    const { finish } = way;
    const told: Way = {
      ...way,
      finish: (outcome) => {
        answer(outcome);
        finish(outcome);
      },
    };
    this.guarded(told, () => {
      const push = this.rendered(told, app);
      if ('kind' in push) this.end(told, push);
      else this.send(told, push);
    });
  }

  /** The push; an outcome where it can't be made. */
  private rendered({ frame, open }: Way, app: App): ApnsPush | Outcome {
    const { crypto, clock, capabilities, log } = this.options;
    try {
      return renderPush(crypto, frame, open, app, () => capabilities.draw(open), seconds(clock));
    } catch (error) {
      if (error instanceof DecodeError) return MALFORMED;
      log.error('push cannot be made', { kind: frame.kind });
      return PROVIDER_DOWN;
    }
  }

  /** The places that a push needs are taken last, so that nothing that ends before holds one. */
  private send(way: Way, push: ApnsPush): void {
    const { doubts, firstContacts } = this.options;
    const { open, signer } = way;
    const contact = open.proven ? NO_CONTACT : firstContacts.begin(signer);
    if (typeof contact === 'number') {
      this.end(way, later('budget', contact));
      return;
    }
    const judge = doubts.enter({ ...push, proven: open.proven }, signer.tagText);
    if (judge === undefined) {
      contact.answered(undefined);
      this.end(way, outcomeOf(BREAKER_OPEN, open.proven));
      return;
    }
    this.sendTo(way, push, (result) => {
      contact.answered(wordOf(result));
      if (open.proven && result.kind === 'accepted') firstContacts.accepted();
      return judge(result);
    });
  }

  private sendTo({ frame, open, finish }: Way, push: ApnsPush, judge: Judge): void {
    this.reached('admitted');
    this.options.log.debug('push sent', { kind: frame.kind });
    const { clock } = this.options;
    const since = clock.monotonic();
    const sentAt = seconds(clock);
    this.options.engine.send(push).then(
      (result) => {
        this.answered(result, since);
        finish(this.conclude(judge(result), open, sentAt));
      },
      () => finish(this.conclude(judge({ kind: 'unavailable', reason: 'provider-down' }), open, sentAt)),
    );
  }

  /** @param sentAt Unix seconds */
  private conclude(result: ApnsResult, open: OpenCapability, sentAt: number): Outcome {
    const { log, revocations } = this.options;
    // Only of proven devices: a stranger's refusals change nothing (relay.md §6, "Revoked").
    if (open.proven && result.kind === 'dead') revocations.refusedByApple(open, result.at ?? sentAt);
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
