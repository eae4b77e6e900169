/**
 * A person's messenger at one messaging server, as far as the demo and tests need it: what the subscriber's own user
 * can do, and what receiving takes. What stands in messages is none of its business.
 */
import type { Bytes } from '../../../shared/encoding/bytes.js';
import { systemClock } from '../../../shared/run/clock.js';
import type { Command, ServerMessage } from '../../../shared/smp/commands.js';
import { type MessageBody, openBody } from '../../../shared/smp/message-body.js';
import {
  type AuthKeyPair,
  expectWord,
  type NotifierCredentials,
  type OwnQueue as Queue,
  SmpClosedError,
  SmpUser,
  type UserRequest,
} from '../../subscriber/probe/smp-user.js';
import { openLink, type SmpDialOptions } from './client-link.js';
import type { ServerEvent } from './subscriptions.js';

/** Events kept for who asks for them; the oldest are dropped. */
const MAX_EVENTS = 10_000;

export interface OwnQueue extends Queue {
  readonly notifier?: NotifierCredentials;
}

/** Connects and completes the handshake. Rejects like `openLink`. */
export const connectSmp = async (options: SmpDialOptions): Promise<SmpClient> =>
  new SmpClient({ clock: systemClock, ...options }, await openLink(options));

interface EventWaiter {
  readonly resolve: (event: ServerEvent) => void;
  readonly reject: (error: Error) => void;
}

export class SmpClient extends SmpUser {
  private readonly events: ServerEvent[] = [];
  private readonly eventWaiters: EventWaiter[] = [];

  override close(): void {
    super.close();
    for (const { reject } of this.eventWaiters.splice(0)) reject(new SmpClosedError());
  }

  /** What the server says of its own accord, one after another. Rejects when the connection is gone. */
  nextEvent(): Promise<ServerEvent> {
    const event = this.events.shift();
    if (event) return Promise.resolve(event);
    if (this.closed) return Promise.reject(new SmpClosedError());
    return new Promise((resolve, reject) => void this.eventWaiters.push({ resolve, reject }));
  }

  /** A new queue, with notifier credentials where they are asked for. */
  override async createQueue(
    options: { readonly subscribe?: boolean; readonly notifier?: boolean } = {},
  ): Promise<OwnQueue> {
    const queue = await super.createQueue(options);
    return options.notifier ? { ...queue, notifier: await this.enableNotifications(queue) } : queue;
  }

  async disableNotifications(queue: OwnQueue): Promise<void> {
    await this.ask('OK', { command: { word: 'NDEL' }, entityId: queue.recipientId, key: queue.key });
  }

  /** Receives the queue's messages as events from now on. */
  async subscribe(queue: OwnQueue): Promise<void> {
    await this.askSubscribed({ command: { word: 'SUB' }, entityId: queue.recipientId, key: queue.key });
  }

  /** As a notifier does. */
  async subscribeNotifications({ id, key }: NotifierCredentials): Promise<void> {
    await this.askSubscribed({ command: { word: 'NSUB' }, entityId: id, key });
  }

  /** Ties a queue to one sender (SKEY, from version 9). */
  async secure(senderId: Bytes, { publicKey, privateKey }: AuthKeyPair): Promise<void> {
    const command: Command = { word: 'SKEY', senderKey: publicKey };
    await this.ask('OK', { command, entityId: senderId, key: privateKey });
  }

  /** Opens a message that came as an event or as the answer to `acknowledge`. */
  open(queue: OwnQueue, { messageId, body }: Extract<ServerMessage, { word: 'MSG' }>): MessageBody {
    return openBody(this.crypto, queue.secret, messageId, body);
  }

  /** Lets the server forget the message; resolves with the next one, if there is one. */
  async acknowledge(
    queue: OwnQueue,
    messageId: Bytes,
  ): Promise<Extract<ServerMessage, { word: 'MSG' }> | undefined> {
    const command: Command = { word: 'ACK', messageId };
    const [answer] = await this.request({ command, entityId: queue.recipientId, key: queue.key });
    return answer!.word === 'MSG'
      ? (answer as Extract<ServerMessage, { word: 'MSG' }>)
      : void expectWord(answer!, 'OK');
  }

  /** Servers say SOK from version 16 on, OK before. */
  private async askSubscribed(request: UserRequest): Promise<void> {
    const [answer] = await this.request(request);
    if (answer!.word !== 'SOK') expectWord(answer!, 'OK');
  }

  protected override event(entityId: Uint8Array, message: ServerMessage): void {
    const waiter = this.eventWaiters.shift();
    if (waiter) waiter.resolve({ entityId, message });
    else if (this.events.push({ entityId, message }) > MAX_EVENTS) this.events.shift();
  }
}
