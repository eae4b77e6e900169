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
import type { Permission } from '../apns/breaker.js';
import type { ApnsEngine, ApnsPush, ApnsResult } from '../apns/engine.js';
import type { App, Apps } from '../apps.js';
import type { Capabilities } from '../capabilities/capabilities.js';
import type { OpenCapability } from '../capabilities/capability.js';
import type { Revocations } from '../capabilities/revocations.js';
import type { Contact, FirstContacts } from '../limits/first-contacts.js';
import type { FrameGate, GateAnswer, Told } from '../limits/frame-gate.js';
import type { Subscribers } from '../limits/subscribers.js';
import type { gatewayMetrics, Milestone } from '../metrics.js';
import { BREAKER_OPEN, type Device, type Doubts } from './doubts.js';
import { FrameIds, type KnownFrame } from './frame-ids.js';
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

/** A frame whose capability is open; whoever ends it wipes that. */
interface Way {
  readonly frame: Frame;
  readonly known: KnownFrame;
  readonly open: OpenCapability;
  readonly app: App;
  readonly device: Device;
  readonly signer: Signer;
  /** Its place among first contacts, where it needs one and has it. */
  contact: Contact;
  /** Of the gate, which hears how a frame ended that it let through. */
  told: Told;
  permission: Permission;
  /** Unix seconds. */
  sentAt: number;
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

const NO_CONTACT: Contact = { answered: () => {}, unused: () => {} };
const NOBODY: Told = () => {};
const DOWN: ApnsResult = { kind: 'unavailable', reason: 'provider-down' };

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
    const since = clock.monotonic();
    const key = signer.tagText + latin1(frame.id);
    const known = this.ids.find(key, since) ?? this.newcomerIds.find(key, since);
    if (known !== undefined) {
      known.join(done);
      return;
    }
    const ids = subscribers.has(signer.tagText) ? this.ids : this.newcomerIds;
    this.run(frame, signer, ids.begin(key, done, since));
  }

  private run(frame: Frame, signer: Signer, known: KnownFrame): void {
    const { log } = this.options;
    log.debug('frame received', { kind: frame.kind });
    this.reached('received');
    try {
      this.open(frame, signer, known);
    } catch {
      log.error('push failed', { kind: frame.kind });
      this.finish(frame, known, PROVIDER_DOWN);
    }
  }

  private open(frame: Frame, signer: Signer, known: KnownFrame): void {
    const { capabilities, apps } = this.options;
    const open = capabilities.open(frame.capability, signer.tag);
    if (typeof open === 'string') {
      this.finish(frame, known, refused(open));
      return;
    }
    const { environment, token, proven } = open;
    const app = apps.find(open.appTag, environment);
    // A stranger gets verification pushes to a device and nothing else (relay.md §5).
    if (app === undefined || (!proven && frame.kind !== 'verification')) {
      wipe(open.plaintext);
      this.finish(frame, known, MALFORMED);
      return;
    }
    const device = { environment, topic: app.topic, token, proven };
    const begun = { contact: NO_CONTACT, told: NOBODY, permission: 'pass', sentAt: 0 } as const;
    const way: Way = { frame, known, open, app, device, signer, ...begun };
    try {
      this.ask(way);
    } catch {
      this.fail(way);
    }
  }

  /** Of a frame that is not sent. */
  private end(way: Way, outcome: Outcome): void {
    way.contact.unused();
    wipe(way.open.plaintext);
    this.tell(way, outcome);
  }

  private tell({ frame, known, told }: Way, outcome: Outcome): void {
    told(outcome);
    this.finish(frame, known, outcome);
  }

  private finish(frame: Frame, known: KnownFrame, outcome: Outcome): void {
    this.count(frame, outcome);
    known.finish(outcome);
  }

  /** For example a key folder that can't be read: without an outcome the request would never end. */
  private fail(way: Way): void {
    this.options.log.error('push failed', { kind: way.frame.kind });
    this.end(way, PROVIDER_DOWN);
  }

  /** First-contact stop and breakers, then the gate. */
  private ask(way: Way): void {
    const { frame, open, app, signer } = way;
    const { gate, subscribers, clock } = this.options;
    const ended = this.stopped(way);
    if (ended !== undefined) {
      this.end(way, ended);
      return;
    }
    const onNew = () => subscribers.establish(signer.tagText).sawDevice(clock.monotonic());
    const asked = { id: frame.id, open, kind: limitedAs(frame, app), onNew };
    gate.pass(asked, (answer) => this.goOn(way, answer));
  }

  /** A first contact takes its place here: without one the gate would count a push that Apple never sees. */
  private stopped(way: Way): Outcome | undefined {
    const { device, signer } = way;
    const { doubts, firstContacts } = this.options;
    const refusal = doubts.refusal(device);
    if (refusal !== undefined) return outcomeOf(refusal, device.proven);
    if (device.proven) return undefined;
    const contact = firstContacts.begin(signer);
    if (typeof contact === 'number') return later('budget', contact);
    way.contact = contact;
    return undefined;
  }

  /** Renders and sends what the gate let through. */
  private goOn(way: Way, answer: GateAnswer): void {
    if (typeof answer !== 'function') {
      this.end(way, answer);
      return;
    }
    way.told = answer;
    try {
      const push = this.rendered(way);
      if ('kind' in push) this.end(way, push);
      else this.send(way, push);
    } catch {
      this.fail(way);
    }
  }

  /** The push; an outcome where it can't be made. */
  private rendered({ frame, open, app }: Way): ApnsPush | Outcome {
    const { crypto, clock, capabilities, log } = this.options;
    try {
      return renderPush(crypto, frame, open, app, () => capabilities.draw(open), seconds(clock));
    } catch (error) {
      if (error instanceof DecodeError) return MALFORMED;
      log.error('push cannot be made', { kind: frame.kind });
      return PROVIDER_DOWN;
    }
  }

  /** The place that a breaker gives is taken last, so that nothing that ends before holds one. */
  private send(way: Way, push: ApnsPush): void {
    const { clock, engine, log, doubts } = this.options;
    way.permission = doubts.enter(way.device);
    if (way.permission === 'stop') {
      this.end(way, outcomeOf(BREAKER_OPEN, way.device.proven));
      return;
    }
    this.reached('admitted');
    log.debug('push sent', { kind: way.frame.kind });
    way.sentAt = seconds(clock);
    const conclude = (result: ApnsResult): void => this.conclude(way, result);
    engine.send(push).then(conclude, () => conclude(DOWN));
  }

  private conclude(way: Way, said: ApnsResult): void {
    this.answered(said, way.known.since);
    way.contact.answered(wordOf(said));
    const outcome = this.judge(way, said);
    const capability = said.kind === 'accepted' ? this.renewal(way.open) : undefined;
    wipe(way.open.plaintext);
    this.tell(way, capability === undefined ? outcome : { ...outcome, capability });
  }

  private judge({ open, device, signer, permission, sentAt }: Way, said: ApnsResult): Outcome {
    const { log, revocations, doubts, firstContacts, gate } = this.options;
    const result = doubts.judge(said, device, signer.tagText, permission);
    if (open.proven && result.kind === 'accepted') firstContacts.accepted();
    // Only of proven devices: a stranger's refusals change nothing (relay.md §6, "Revoked").
    if (open.proven && result.kind === 'dead') revocations.refusedByApple(open, result.at ?? sentAt);
    if (!open.proven && result.kind === 'dead') gate.forget(open);
    if (result.kind === 'rejected') log.error('Apple takes no such push', { reason: result.reason });
    return outcomeOf(result, open.proven);
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
