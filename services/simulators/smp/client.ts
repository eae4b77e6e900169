/**
 * A user of SMP servers: makes queues, sends, receives, hands out notifier credentials. For the demo's phone and
 * sender, and for tests; what a messenger puts into its messages is none of its business.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { generateSignatureKey, publicKeyOf } from '../../../shared/crypto/signatures.js';
import { type Bytes, latin1 } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import {
  type Command,
  decodeServerMessage,
  encodeCommand,
  type ServerMessage,
} from '../../../shared/smp/commands.js';
import { ID_SIZE, SINCE } from '../../../shared/smp/constants.js';
import type { ErrorType } from '../../../shared/smp/errors.js';
import { type MessageBody, openBody } from '../../../shared/smp/message-body.js';
import { RequestBlock, type RequestItem } from '../../../shared/smp/request-block.js';
import { decodeBlock } from '../../../shared/smp/transmission.js';
import { type ClientLink, openLink, type SmpDialOptions } from './client-link.js';
import type { ServerEvent } from './subscriptions.js';

/** Events kept for who asks for them; the oldest are dropped. */
const MAX_EVENTS = 10_000;
const NO_ID = new Uint8Array(0);

/** A private key with the public one that servers get. */
export interface AuthKeyPair {
  readonly privateKey: Key<AuthAlgorithm>;
  readonly publicKey: Key<AuthAlgorithm>;
}

export interface NotifierCredentials {
  readonly id: Uint8Array;
  /** Private: what a notifier needs to subscribe. */
  readonly key: Key<AuthAlgorithm>;
  /** Raw X25519 secret that opens metadata. */
  readonly secret: Uint8Array;
}

export interface OwnQueue {
  readonly recipientId: Uint8Array;
  /** What a sender needs. */
  readonly senderId: Uint8Array;
  readonly key: Key<AuthAlgorithm>;
  /** Raw X25519 secret that opens bodies. */
  readonly secret: Uint8Array;
  readonly notifier?: NotifierCredentials;
}

/** One command before it is encoded. */
export interface ClientRequest {
  readonly command: Command;
  readonly entityId?: Bytes;
  /** Private key that authorises it. */
  readonly key?: Key<AuthAlgorithm>;
}

/** The server answered with an error. */
export class SmpCommandError extends Error {
  override readonly name = 'SmpCommandError';
  readonly error: ErrorType;

  constructor(error: ErrorType) {
    super(error.kind === 'CMD' ? `CMD ${error.reason}` : error.kind);
    this.error = error;
  }
}

export class SmpClosedError extends Error {
  override readonly name = 'SmpClosedError';
}

export const authKeyPair = (crypto: Crypto, algorithm: AuthAlgorithm = 'ed25519'): AuthKeyPair => {
  if (algorithm === 'x25519') {
    const { privateKey, publicKey } = crypto.x25519KeyPair();
    return { privateKey: { algorithm, raw: privateKey }, publicKey: { algorithm, raw: publicKey } };
  }
  const privateKey = generateSignatureKey(crypto, algorithm);
  return { privateKey, publicKey: publicKeyOf(crypto, privateKey) };
};

/** Connects and completes the handshake. Rejects like `openLink`. */
export const connectSmp = async (options: SmpDialOptions): Promise<SmpClient> =>
  new SmpClient(options.crypto, await openLink(options));

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export class SmpClient {
  readonly version: number;
  private readonly crypto: Crypto;
  private readonly link: ClientLink;
  private readonly answers = new Map<string, Waiter<ServerMessage>>();
  private readonly events: ServerEvent[] = [];
  private readonly eventWaiters: Waiter<ServerEvent>[] = [];
  private closed = false;

  constructor(crypto: Crypto, link: ClientLink) {
    this.crypto = crypto;
    this.link = link;
    this.version = link.version;
    link.socket.on('data', (chunk) => this.read(chunk));
    link.socket.on('close', () => this.fail());
    link.socket.resume();
  }

  close(): void {
    this.link.socket.destroy();
    this.fail();
  }

  /** Sends the commands in as few blocks as they need; resolves with their answers, errors included, in order. */
  async request(...requests: readonly ClientRequest[]): Promise<ServerMessage[]> {
    if (this.closed) throw new SmpClosedError('connection closed');
    const { socket, codec, session } = this.link;
    const block = new RequestBlock(this.crypto, session);
    const answers = requests.map((request) => {
      const item = this.item(request);
      if (!block.add(item)) {
        socket.write(block.seal(codec));
        if (!block.add(item)) throw new RangeError('command too long');
      }
      return new Promise<ServerMessage>((resolve, reject) => {
        this.answers.set(latin1(item.corrId), { resolve, reject });
      });
    });
    socket.write(block.seal(codec));
    return await Promise.all(answers);
  }

  /** What the server says of its own accord, one after another. Rejects when the connection is gone. */
  nextEvent(): Promise<ServerEvent> {
    const event = this.events.shift();
    if (event) return Promise.resolve(event);
    if (this.closed) return Promise.reject(new SmpClosedError('connection closed'));
    return new Promise((resolve, reject) => void this.eventWaiters.push({ resolve, reject }));
  }

  async ping(): Promise<void> {
    await this.ask('PONG', { command: { word: 'PING' } });
  }

  /** A new queue, with notifier credentials where they are asked for (from version 17 in the same command). */
  async createQueue(options: { subscribe?: boolean; notifier?: boolean } = {}): Promise<OwnQueue> {
    const { crypto, version } = this;
    const owner = authKeyPair(crypto);
    const dh = crypto.x25519KeyPair();
    const ids = await this.ask('IDS', {
      command: {
        word: 'NEW',
        recipientKey: owner.publicKey,
        dhKey: dh.publicKey,
        subscribe: options.subscribe ? 'S' : 'C',
        ...(version >= SINCE.senderKey && { mode: 'M' }),
      },
      key: owner.privateKey,
    });
    const { recipientId, senderId } = ids;
    const queue: OwnQueue = {
      recipientId,
      senderId,
      key: owner.privateKey,
      secret: crypto.x25519(dh.privateKey, ids.dhKey),
    };
    return options.notifier ? { ...queue, notifier: await this.enableNotifications(queue) } : queue;
  }

  /** New notifier credentials (NKEY); older ones of the queue are dead. */
  async enableNotifications(
    { recipientId, key }: OwnQueue,
    algorithm?: AuthAlgorithm,
  ): Promise<NotifierCredentials> {
    const { crypto } = this;
    const notifier = authKeyPair(crypto, algorithm);
    const dh = crypto.x25519KeyPair();
    const command: Command = { word: 'NKEY', notifierKey: notifier.publicKey, dhKey: dh.publicKey };
    const { notifierId, dhKey } = await this.ask('NID', { command, entityId: recipientId, key });
    return { id: notifierId, key: notifier.privateKey, secret: crypto.x25519(dh.privateKey, dhKey) };
  }

  async disableNotifications(queue: OwnQueue): Promise<void> {
    await this.ask('OK', { command: { word: 'NDEL' }, entityId: queue.recipientId, key: queue.key });
  }

  async deleteQueue(queue: OwnQueue): Promise<void> {
    await this.ask('OK', { command: { word: 'DEL' }, entityId: queue.recipientId, key: queue.key });
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

  /** @param key the sender's, once the queue is secured */
  async send(
    senderId: Bytes,
    body: Bytes,
    options: { key?: Key<AuthAlgorithm>; notify?: boolean } = {},
  ): Promise<void> {
    const { key, notify = true } = options;
    const command: Command = { word: 'SEND', notify, body };
    await this.ask('OK', { command, entityId: senderId, ...(key && { key }) });
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

  private async ask<W extends ServerMessage['word']>(
    word: W,
    request: ClientRequest,
  ): Promise<Extract<ServerMessage, { word: W }>> {
    const [answer] = await this.request(request);
    return expectWord(answer!, word);
  }

  /** Servers say SOK from version 16 on, OK before. */
  private async askSubscribed(request: ClientRequest): Promise<void> {
    const [answer] = await this.request(request);
    if (answer!.word !== 'SOK') expectWord(answer!, 'OK');
  }

  private item({ command, entityId = NO_ID, key }: ClientRequest): RequestItem {
    return {
      corrId: this.crypto.randomBytes(ID_SIZE),
      entityId,
      command: encodeCommand(command, this.version),
      ...(key && { key }),
    };
  }

  private read(chunk: Bytes): void {
    const { reader, codec, session } = this.link;
    try {
      for (const block of reader.push(chunk)) {
        for (const { corrId, entityId, command } of decodeBlock(session, codec.open(block))) {
          const message = decodeServerMessage(command, this.version);
          if (message) this.take(corrId, { entityId, message });
        }
      }
    } catch {
      this.close(); // nothing of a connection that sends what can't be read is to be trusted
    }
  }

  private take(corrId: Bytes, event: ServerEvent): void {
    if (corrId.length > 0) {
      const id = latin1(corrId);
      this.answers.get(id)?.resolve(event.message);
      this.answers.delete(id);
      return;
    }
    const waiter = this.eventWaiters.shift();
    if (waiter) waiter.resolve(event);
    else if (this.events.push(event) > MAX_EVENTS) this.events.shift();
  }

  private fail(): void {
    this.closed = true;
    const error = new SmpClosedError('connection closed');
    for (const { reject } of [...this.answers.values(), ...this.eventWaiters]) reject(error);
    this.answers.clear();
    this.eventWaiters.length = 0;
  }
}

/** Throws `SmpCommandError` for an error, and a plain error for an answer that does not belong here. */
function expectWord<W extends ServerMessage['word']>(
  message: ServerMessage,
  word: W,
): Extract<ServerMessage, { word: W }> {
  if (message.word === word) return message as Extract<ServerMessage, { word: W }>;
  if (message.word === 'ERR') throw new SmpCommandError(message.error);
  throw new Error(`unexpected answer ${message.word}`);
}
