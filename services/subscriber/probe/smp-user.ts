/**
 * A user of a messaging server: makes queues, lets notifiers hear of them, writes to them, deletes them (guide G.2).
 * For probes of the subscriber's own; a real person's queues are none of its business. Every answer has a deadline,
 * and a connection that misses one, or says what can't be read, is closed.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { generateSignatureKey, publicKeyOf } from '../../../shared/crypto/signatures.js';
import { type Bytes, latin1, wipe } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import type { Clock } from '../../../shared/run/clock.js';
import {
  type Command,
  decodeServerMessage,
  encodeCommand,
  type ServerMessage,
} from '../../../shared/smp/commands.js';
import { ID_SIZE, SINCE } from '../../../shared/smp/constants.js';
import type { ErrorType } from '../../../shared/smp/errors.js';
import { RequestBlock, type RequestItem } from '../../../shared/smp/request-block.js';
import { decodeBlock } from '../../../shared/smp/transmission.js';
import type { Link } from '../sources/smp/connector.js';
import type { Transport } from '../sources/smp/transport.js';

/** From a command to its answer. */
const ANSWER_MS = 15_000;
/** Commands without an answer at one time. */
const MAX_WAITING = 10_000;
const NO_ID = new Uint8Array(0);

/** A finished handshake, and nothing of a service. */
export interface UserLink extends Pick<Link, 'version' | 'params' | 'blocks' | 'serverKey'> {
  readonly transport: Pick<Transport, 'listen' | 'send' | 'close'>;
}

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
}

/** One command before it is encoded. */
export interface UserRequest {
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

/** The connection is gone: closed by the server, or by us because no answer came. */
export class SmpClosedError extends Error {
  override readonly name = 'SmpClosedError';

  constructor() {
    super('connection closed');
  }
}

export const authKeyPair = (crypto: Crypto, algorithm: AuthAlgorithm = 'ed25519'): AuthKeyPair => {
  if (algorithm === 'x25519') {
    const { privateKey, publicKey } = crypto.x25519KeyPair();
    return { privateKey: { algorithm, raw: privateKey }, publicKey: { algorithm, raw: publicKey } };
  }
  const privateKey = generateSignatureKey(crypto, algorithm);
  return { privateKey, publicKey: publicKeyOf(crypto, privateKey) };
};

interface Waiter {
  readonly resolve: (answer: ServerMessage) => void;
  readonly reject: (error: Error) => void;
}

export class SmpUser {
  readonly version: number;
  protected readonly crypto: Crypto;
  protected closed = false;
  private readonly clock: Clock;
  private readonly link: UserLink;
  /** By corrId. */
  private readonly answers = new Map<string, Waiter>();

  constructor({ crypto, clock }: { readonly crypto: Crypto; readonly clock: Clock }, link: UserLink) {
    this.crypto = crypto;
    this.clock = clock;
    this.link = link;
    this.version = link.version;
    link.transport.listen({
      block: (block) => this.read(block),
      closed: () => this.close(),
      drained() {},
      heard() {},
    });
  }

  /** Ends the connection; what waits for an answer is rejected with `SmpClosedError`. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.link.blocks.close();
    this.link.transport.close();
    for (const { reject } of this.answers.values()) reject(new SmpClosedError());
    this.answers.clear();
  }

  /**
   * Sends the commands in as few blocks as they need; resolves with their answers, errors included, in order.
   * Rejects with `SmpClosedError`.
   */
  async request(...requests: readonly UserRequest[]): Promise<ServerMessage[]> {
    if (this.closed) throw new SmpClosedError();
    if (this.answers.size + requests.length > MAX_WAITING) throw new RangeError('too many commands');
    const { params, serverKey, blocks, transport } = this.link;
    const block = new RequestBlock(this.crypto, { ...params, sessionServerKey: serverKey });
    const answers = requests.map((request) => {
      const item = this.item(request);
      if (!block.add(item)) {
        transport.send(block.seal(blocks));
        if (!block.add(item)) throw new RangeError('command too long');
      }
      return new Promise<ServerMessage>((resolve, reject) => {
        this.answers.set(latin1(item.corrId), { resolve, reject });
      });
    });
    transport.send(block.seal(blocks));
    const deadline = this.clock.after(ANSWER_MS, () => this.close());
    return Promise.all(answers).finally(() => deadline.cancel());
  }

  /** The session stands: only the first answer shows that the server accepted our half of the handshake. */
  async ping(): Promise<void> {
    await this.ask('PONG', { command: { word: 'PING' } });
  }

  /** A new queue; who receives from it is not asked for. Rejects with `SmpCommandError` and `SmpClosedError`. */
  async createQueue(options: { readonly subscribe?: boolean } = {}): Promise<OwnQueue> {
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
    const secret = crypto.x25519(dh.privateKey, ids.dhKey);
    wipe(dh.privateKey);
    const { recipientId, senderId } = ids;
    return { recipientId: recipientId.slice(), senderId: senderId.slice(), key: owner.privateKey, secret };
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
    const secret = crypto.x25519(dh.privateKey, dhKey);
    wipe(dh.privateKey);
    return { id: notifierId.slice(), key: notifier.privateKey, secret };
  }

  /** @param key the sender's, once the queue is secured */
  async send(
    senderId: Bytes,
    body: Bytes,
    options: { readonly key?: Key<AuthAlgorithm>; readonly notify?: boolean } = {},
  ): Promise<void> {
    const { key, notify = true } = options;
    const command: Command = { word: 'SEND', notify, body };
    await this.ask('OK', { command, entityId: senderId, ...(key && { key }) });
  }

  /** With everything in it. */
  async deleteQueue({ recipientId, key }: OwnQueue): Promise<void> {
    await this.ask('OK', { command: { word: 'DEL' }, entityId: recipientId, key });
  }

  /** What the server says of its own accord; nothing that a probe would wait for. */
  protected event(_entityId: Uint8Array, _message: ServerMessage): void {}

  /** The one answer. Rejects with `SmpCommandError` for an error, `SmpClosedError` where what comes is no answer. */
  protected async ask<W extends ServerMessage['word']>(
    word: W,
    request: UserRequest,
  ): Promise<Extract<ServerMessage, { word: W }>> {
    const [answer] = await this.request(request);
    return expectWord(answer!, word);
  }

  private item({ command, entityId = NO_ID, key }: UserRequest): RequestItem {
    return {
      corrId: this.crypto.randomBytes(ID_SIZE),
      entityId,
      command: encodeCommand(command, this.version),
      ...(key && { key }),
    };
  }

  private read(block: Bytes): void {
    const { params, blocks } = this.link;
    try {
      for (const { corrId, entityId, command } of decodeBlock(params, blocks.open(block))) {
        const message = decodeServerMessage(command, this.version);
        if (message === undefined) continue;
        if (corrId.length === 0) this.event(entityId, message);
        else this.answer(latin1(corrId), message);
      }
    } catch {
      this.close(); // nothing of a connection that sends what can't be read is to be trusted
    }
  }

  private answer(id: string, message: ServerMessage): void {
    this.answers.get(id)?.resolve(message);
    this.answers.delete(id);
  }
}

/** The message, if it has this word. Throws `SmpCommandError` for an error, and a plain error for anything else. */
export function expectWord<W extends ServerMessage['word']>(
  message: ServerMessage,
  word: W,
): Extract<ServerMessage, { word: W }> {
  if (message.word === word) return message as Extract<ServerMessage, { word: W }>;
  if (message.word === 'ERR') throw new SmpCommandError(message.error);
  throw new Error(`unexpected answer ${message.word}`);
}

/** Overwrites what gives power over a queue. */
export const wipeQueue = ({ key, secret }: OwnQueue): void => wipe(key.raw, secret);
