/**
 * The messaging server without its wire: queues, subscriptions and what commands do to them (guide G.2, G.3).
 * Commands come here with their authorisation checked.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { sameBytes } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Command, ServerMessage } from '../../../shared/smp/commands.js';
import { ID_SIZE, IDS_HASH_SIZE, maxBodySize, NONCE_SIZE, SINCE } from '../../../shared/smp/constants.js';
import type { ErrorType } from '../../../shared/smp/errors.js';
import { toggleId } from '../../../shared/smp/ids-hash.js';
import { sealBody, sealMeta } from '../../../shared/smp/message-body.js';
import type { SmpCounters } from './counters.js';
import { Delivery, type ServiceContents } from './delivery.js';
import type { FaultScript } from './faults.js';
import type { SmpLimits, SmpTiming } from './options.js';
import { type Notifier, type Queue, QueueStore, type StoredMessage } from './queues.js';
import { Receivers } from './receivers.js';
import { ServiceStore } from './services.js';
import { type Subscriber, Subscriptions } from './subscriptions.js';

export interface BrokerOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly timing: SmpTiming;
  readonly limits: SmpLimits;
  readonly faults: FaultScript;
  readonly counters: SmpCounters;
}

type Of<W extends Command['word']> = Extract<Command, { word: W }>;

const OK: ServerMessage = { word: 'OK' };
const failed = (error: ErrorType): ServerMessage => ({ word: 'ERR', error });
const AUTH = failed({ kind: 'AUTH' });
/** SUB and NSUB are answered with OK before version 16. */
const subscribed = ({ version, serviceId }: Subscriber): ServerMessage =>
  version >= SINCE.services ? { word: 'SOK', ...(serviceId && { serviceId }) } : OK;

export class Broker {
  readonly store = new QueueStore();
  readonly services: ServiceStore;
  private readonly options: BrokerOptions;
  private readonly recipients = new Subscriptions();
  private readonly receivers = new Receivers();
  private readonly delivery: Delivery;

  constructor(options: BrokerOptions) {
    this.options = options;
    const { store, receivers } = this;
    this.services = new ServiceStore(options.crypto);
    this.delivery = new Delivery({ ...options, store, receivers });
  }

  /** Notifier subscriptions of all connections. */
  get notifierSubscriptions(): number {
    let count = 0;
    for (const { notifier } of this.store.notified()) if (this.receivers.of(notifier!)) count++;
    return count;
  }

  /** Starts deliveries, of what the store holds already too. */
  start(): void {
    this.delivery.start();
  }

  stop(): void {
    this.delivery.stop();
  }

  /** A power cut: a server with messages in memory keeps its queues and loses what is in them. */
  loseContents(): void {
    for (const queue of this.store.all()) {
      queue.messages.length = 0;
      queue.full = false;
      if (!queue.notifier) continue;
      this.options.counters.notificationsLost += queue.notifier.pending.length;
      queue.notifier.pending = [];
    }
  }

  /** A database that lost its services: their certificates get other ids, and no queue is associated. */
  forgetServices(): void {
    this.services.clear();
    for (const { notifier } of this.store.notified()) notifier!.serviceId = undefined;
  }

  /** A connection is gone, and with it all its subscriptions. */
  drop(subscriber: Subscriber): void {
    this.recipients.drop(subscriber);
    this.receivers.drop(subscriber);
    this.delivery.drop(subscriber);
  }

  /** Runs an authorised command on its queue (none for NEW and PING); returns the answer. */
  run(command: Command, queue: Queue | undefined, subscriber: Subscriber): ServerMessage {
    if (command.word === 'PING') return { word: 'PONG' };
    if (command.word === 'NSUBS') return this.subscribeService(subscriber);
    if (command.word === 'NEW') return this.create(command, subscriber);
    return queue === undefined ? AUTH : this.runOn(queue, command, subscriber);
  }

  private runOn(queue: Queue, command: Command, subscriber: Subscriber): ServerMessage {
    switch (command.word) {
      case 'NSUB':
        return this.subscribeNotifier(queue, subscriber);
      case 'SUB':
        return this.subscribe(queue, subscriber);
      case 'KEY':
      case 'SKEY':
        return secure(queue, command.senderKey);
      case 'NKEY':
        return this.setNotifier(queue, command);
      case 'NDEL':
        this.replaceNotifier(queue, undefined);
        return OK;
      case 'SEND':
        return this.send(queue, command, subscriber.version);
      case 'ACK':
        return this.acknowledge(queue, command, subscriber);
      case 'DEL':
        return this.remove(queue);
      default:
        return failed({ kind: 'CMD', reason: 'PROHIBITED' });
    }
  }

  private create(command: Of<'NEW'>, subscriber: Subscriber): ServerMessage {
    const { crypto, limits } = this.options;
    if (this.store.size >= limits.queues) return failed({ kind: 'STORE', text: 'no room for queues' });
    const own = this.agree(command.dhKey);
    const notifier = command.notifier && this.makeNotifier(command.notifier.key, command.notifier.dhKey);
    const queue: Queue = {
      recipientId: crypto.randomBytes(ID_SIZE),
      senderId: crypto.randomBytes(ID_SIZE),
      recipientKey: copied(command.recipientKey),
      secret: own.secret,
      mode: command.mode,
      senderKey: undefined,
      notifier: notifier?.notifier,
      messages: [],
      full: false,
    };
    this.store.add(queue);
    if (command.subscribe === 'S') this.recipients.take(queue.recipientId, subscriber);
    return {
      word: 'IDS',
      recipientId: queue.recipientId,
      senderId: queue.senderId,
      dhKey: own.publicKey,
      ...(queue.mode && { mode: queue.mode }),
      ...(notifier && { notifier: { id: notifier.notifier.id, dhKey: notifier.dhKey } }),
    };
  }

  private subscribe(queue: Queue, subscriber: Subscriber): ServerMessage {
    const before = this.recipients.take(queue.recipientId, subscriber);
    if (before) this.delivery.end(before, queue.recipientId, 'moved');
    this.tellMessage(queue, subscriber);
    return subscribed(subscriber);
  }

  private subscribeNotifier(queue: Queue, subscriber: Subscriber): ServerMessage {
    const notifier = queue.notifier!;
    const held = subscriber.serviceId && this.contents(subscriber.serviceId);
    const losers = this.receivers.take(notifier, subscriber);
    if (losers.notifier) this.delivery.end(losers.notifier, notifier.id, 'moved');
    if (losers.service && held) this.delivery.endService(losers.service, subscriber.serviceId!, held);
    return subscribed(subscriber);
  }

  /** Answered with what this side holds, whatever the other believes. */
  private subscribeService(subscriber: Subscriber): ServerMessage {
    const serviceId = subscriber.serviceId!;
    const contents = this.contents(serviceId);
    const before = this.receivers.takeService(serviceId, subscriber);
    if (before) this.delivery.endService(before, serviceId, contents);
    return { word: 'SOKS', ...contents };
  }

  private contents(serviceId: Uint8Array): ServiceContents {
    const idsHash = new Uint8Array(IDS_HASH_SIZE);
    let count = 0;
    for (const { notifier } of this.store.notified()) {
      if (!notifier?.serviceId || !sameBytes(notifier.serviceId, serviceId)) continue;
      count++;
      toggleId(this.options.crypto, idsHash, notifier.id);
    }
    return { count, idsHash };
  }

  private setNotifier(queue: Queue, { notifierKey, dhKey }: Of<'NKEY'>): ServerMessage {
    const made = this.makeNotifier(notifierKey, dhKey);
    this.replaceNotifier(queue, made.notifier);
    return { word: 'NID', notifierId: made.notifier.id, dhKey: made.dhKey };
  }

  private send(queue: Queue, { notify, body }: Of<'SEND'>, version: number): ServerMessage {
    const { crypto, clock, limits, counters } = this.options;
    if (body.length > maxBodySize(version)) return failed({ kind: 'LARGE_MSG' });
    if (queue.full && queue.messages.length > 0) return failed({ kind: 'QUOTA' });
    queue.full = queue.messages.length >= limits.queueMessages;
    const id = crypto.randomBytes(ID_SIZE);
    const content = queue.full ? undefined : { notify, body: body.slice() };
    const message: StoredMessage = { id, timestamp: seconds(clock), content };
    queue.messages.push(message);
    const recipient = this.recipients.holder(queue.recipientId);
    if (recipient && queue.messages.length === 1) this.tellMessage(queue, recipient);
    if (queue.full) return failed({ kind: 'QUOTA' });
    counters.messages++;
    if (notify && queue.notifier) this.notify(queue.notifier, message);
    return OK;
  }

  private notify(notifier: Notifier, { id: messageId, timestamp }: StoredMessage): void {
    const { crypto, clock } = this.options;
    const nonce = crypto.randomBytes(NONCE_SIZE);
    const metadata = sealMeta(crypto, notifier.secret, nonce, { messageId, timestamp });
    this.delivery.store(notifier, { nonce, metadata, storedAt: clock.now() });
  }

  private acknowledge(queue: Queue, { messageId }: Of<'ACK'>, subscriber: Subscriber): ServerMessage {
    const [first] = queue.messages;
    if (!first || !sameBytes(first.id, messageId)) return failed({ kind: 'NO_MSG' });
    queue.messages.shift();
    return this.firstMessage(queue, subscriber.version) ?? OK;
  }

  private remove(queue: Queue): ServerMessage {
    this.replaceNotifier(queue, undefined);
    this.recipients.release(queue.recipientId);
    this.store.remove(queue);
    return OK;
  }

  /** Other notifier credentials, or none: the old id is dead, and its subscriber hears so. */
  private replaceNotifier(queue: Queue, notifier: Notifier | undefined): void {
    const old = this.store.setNotifier(queue, notifier);
    if (!old) return;
    this.delivery.forget(old);
    const subscriber = this.receivers.release(old);
    if (subscriber) this.delivery.end(subscriber, old.id, 'deleted');
  }

  private tellMessage(queue: Queue, subscriber: Subscriber): void {
    const message = this.firstMessage(queue, subscriber.version);
    if (message) subscriber.tell([{ entityId: queue.recipientId, message }]);
  }

  private firstMessage({ messages: [first], secret }: Queue, version: number): ServerMessage | undefined {
    if (!first) return undefined;
    const { id, timestamp, content } = first;
    const message = content
      ? { kind: 'message' as const, timestamp, ...content }
      : { kind: 'quota' as const, timestamp };
    return { word: 'MSG', messageId: id, body: sealBody(this.options.crypto, secret, id, message, version) };
  }

  private makeNotifier(
    key: Key<AuthAlgorithm>,
    dhKey: Uint8Array,
  ): { notifier: Notifier; dhKey: Uint8Array } {
    const { secret, publicKey } = this.agree(dhKey);
    const id = this.options.crypto.randomBytes(ID_SIZE);
    return { notifier: { id, key: copied(key), secret, pending: [] }, dhKey: publicKey };
  }

  /** A key pair of ours for a key of theirs. Throws `CryptoError` for a key that makes no secret. */
  private agree(theirs: Uint8Array): { secret: Uint8Array; publicKey: Uint8Array } {
    const { crypto } = this.options;
    const { privateKey, publicKey } = crypto.x25519KeyPair();
    return { secret: crypto.x25519(privateKey, theirs), publicKey };
  }
}

/** The first key stays; the same one again is fine. */
function secure(queue: Queue, key: Key<AuthAlgorithm>): ServerMessage {
  const { senderKey } = queue;
  if (senderKey && !(senderKey.algorithm === key.algorithm && sameBytes(senderKey.raw, key.raw))) return AUTH;
  queue.senderKey = copied(key);
  return OK;
}

/** Keys of commands are views into their block. */
const copied = <K extends Key>(key: K): K => ({ ...key, raw: key.raw.slice() });
