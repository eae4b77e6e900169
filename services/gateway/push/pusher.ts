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
  readonly app: App;
  readonly device: Device;
  readonly signer: Signer;
  readonly finish: Finish;
  /** When the frame came, monotonic ms. */
  readonly since: number;
  /** Its place among first contacts, where it needs one and has it. */
  contact: Contact;
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
    const { clock, subscribers, log } = this.options;
    const since = clock.monotonic();
    const key = signer.tagText + latin1(frame.id);
    const known = this.ids.has(key) ? this.ids : this.newcomerIds.has(key) ? this.newcomerIds : undefined;
    const ids = known ?? (subscribers.account(signer.tagText).established ? this.ids : this.newcomerIds);
    if (!ids.begin(key, done, since)) return;
    log.debug('frame received', { kind: frame.kind });
    this.reached('received');
    const finish = (outcome: Outcome): void => {
      this.count(frame, outcome);
      ids.finish(key, outcome);
    };
    try {
      this.run(frame, signer, finish, since);
    } catch {
      log.error('push failed', { kind: frame.kind });
      finish(PROVIDER_DOWN);
    }
  }

  private run(frame: Frame, signer: Signer, finish: Finish, since: number): void {
    const { capabilities, apps } = this.options;
    const open = capabilities.open(frame.capability, signer.tag);
    if (typeof open === 'string') {
      finish(refused(open));
      return;
    }
    const { environment, token, proven } = open;
    const app = apps.find(open.appTag, environment);
    // A stranger gets verification pushes to a device and nothing else (relay.md §5).
    if (app === undefined || (!proven && frame.kind !== 'verification')) {
      wipe(open.plaintext);
      finish(MALFORMED);
      return;
    }
    const device = { environment, topic: app.topic, token, proven };
    const way: Way = { frame, open, app, device, signer, finish, since, contact: NO_CONTACT };
    try {
      this.ask(way);
    } catch {
      this.fail(way);
    }
  }

  /** Of a frame that is not sent. */
  private end({ open, finish, contact }: Way, outcome: Outcome): void {
    contact.unused();
    wipe(open.plaintext);
    finish(outcome);
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
    const told = telling(way, answer);
    try {
      const push = this.rendered(told);
      if ('kind' in push) this.end(told, push);
      else this.send(told, push);
    } catch {
      this.fail(told);
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
    const permission = this.options.doubts.enter(way.device);
    if (permission === 'stop') this.end(way, outcomeOf(BREAKER_OPEN, way.device.proven));
    else this.sendTo(way, push, permission);
  }

  private sendTo(way: Way, push: ApnsPush, permission: Permission): void {
    const { clock, engine, log } = this.options;
    this.reached('admitted');
    log.debug('push sent', { kind: way.frame.kind });
    const sentAt = seconds(clock);
    const conclude = (result: ApnsResult): void => {
      way.contact.answered(wordOf(result));
      way.finish(this.conclude(way, result, permission, sentAt));
    };
    engine.send(push).then(
      (result) => {
        this.answered(result, way.since);
        conclude(result);
      },
      () => conclude(DOWN),
    );
  }

  /** @param sentAt Unix seconds */
  private conclude(way: Way, said: ApnsResult, permission: Permission, sentAt: number): Outcome {
    const { log, revocations, doubts, firstContacts, gate } = this.options;
    const { open, device, signer } = way;
    const result = doubts.judge(said, device, signer.tagText, permission);
    if (open.proven && result.kind === 'accepted') firstContacts.accepted();
    // Only of proven devices: a stranger's refusals change nothing (relay.md §6, "Revoked").
    if (open.proven && result.kind === 'dead') revocations.refusedByApple(open, result.at ?? sentAt);
    if (!open.proven && result.kind === 'dead') gate.forget(open);
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

/** The same way, of whose outcome the gate hears too. */
function telling(way: Way, told: Told): Way {
  const { frame, open, app, device, signer, finish, since, contact } = way;
  const both = (outcome: Outcome): void => {
    told(outcome);
    finish(outcome);
  };
  return { frame, open, app, device, signer, finish: both, since, contact };
}
