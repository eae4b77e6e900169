/**
 * One connection behind its handshake, without sockets: blocks in, blocks out (guide E.3, E.4, F). What is refused
 * before it is run goes out first, in blocks of its own; the others are run last to first and answered in the order
 * of the requests; events that they cause follow.
 */
import { type Crypto, CryptoError } from '../../../shared/crypto/crypto.js';
import { type Bytes, sameBytes } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import {
  authorizedInService,
  takesServiceSignature,
  verifyAuth,
  verifyServiceSignature,
} from '../../../shared/smp/auth.js';
import type { BlockCodec } from '../../../shared/smp/block.js';
import {
  type Command,
  credentialsProblem,
  decodeCommand,
  encodeServerMessage,
  type ServerMessage,
} from '../../../shared/smp/commands.js';
import { SMP_BLOCK_SIZE } from '../../../shared/smp/constants.js';
import type { ErrorType } from '../../../shared/smp/errors.js';
import {
  authorizedAsReceived,
  batchCapacity,
  decodeBatch,
  decodeTransmission,
  encodeBatch,
  encodeTransmission,
  ITEM_OVERHEAD,
  intoBatches,
  problemOf,
  type Received,
  type SessionParams,
} from '../../../shared/smp/transmission.js';
import type { Broker } from './broker.js';
import type { SmpCounters } from './counters.js';
import type { FaultScript } from './faults.js';
import type { Queue } from './queues.js';
import { rightTo } from './rights.js';
import type { ServiceSession } from './services.js';
import type { ServerEvent, Subscriber } from './subscriptions.js';

export interface SessionOptions {
  readonly crypto: Crypto;
  readonly version: number;
  readonly params: SessionParams;
  readonly codec: BlockCodec;
  /** Our raw X25519 key of this connection, for authenticators; from version 7. */
  readonly privateKey: Bytes | undefined;
  /** Of a session as a service. */
  readonly service?: ServiceSession | undefined;
  readonly broker: Broker;
  readonly faults: FaultScript;
  readonly counters: SmpCounters;
  /** Takes a sealed block. @param notifications how many NMSG are in it */
  readonly send: (block: Uint8Array, notifications: number) => void;
  /** Whether the send queue takes no more for now. */
  readonly full: () => boolean;
}

/** A command that may be run. */
interface Request {
  readonly corrId: Bytes;
  readonly entityId: Bytes;
  readonly command: Command;
  readonly queue: Queue | undefined;
}

interface Refusal {
  readonly corrId: Bytes;
  readonly entityId: Bytes;
  readonly error: ErrorType;
}

const NONE = new Uint8Array(0);
/** What a notifier's service may send. */
const NOTIFIER_WORDS: readonly string[] = ['NSUB', 'NSUBS', 'PING'];
const BLOCK_ERROR: Refusal = { corrId: NONE, entityId: NONE, error: { kind: 'BLOCK' } };

export class SmpSession implements Subscriber {
  private readonly options: SessionOptions;
  /** Events of the block that is being worked on. */
  private held: ServerEvent[] | undefined;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  get version(): number {
    return this.options.version;
  }

  get serviceId(): Bytes | undefined {
    return this.options.service?.id;
  }

  get full(): boolean {
    return this.options.full();
  }

  /** Works on one block and sends everything that it leads to. */
  receive(block: Bytes): void {
    const { counters } = this.options;
    counters.blocks++;
    const checked = this.open(block).map((item) => this.check(item));
    const refusals = checked.filter((c): c is Refusal => 'error' in c);
    const requests = checked.filter((c): c is Request => 'command' in c);
    counters.commands += checked.length;
    counters.errors += refusals.length;
    this.held = [];
    this.sendAnswers(
      refusals,
      refusals.map(({ error }) => failed(error)),
    );
    this.sendAnswers(
      requests,
      requests
        .toReversed()
        .map((r) => this.run(r))
        .toReversed(),
    );
    const events = this.held;
    this.held = undefined;
    this.tell(events);
  }

  tell(events: readonly ServerEvent[]): void {
    if (this.held) this.held.push(...events);
    else this.sendItems(events.map(({ entityId, message }) => ({ corrId: NONE, entityId, message })));
  }

  /** The batch's items; one that no transmission can be read from is the answer to a block that can't be read. */
  private open(block: Bytes): (Bytes | undefined)[] {
    try {
      return decodeBatch(this.options.params, this.options.codec.open(block));
    } catch (error) {
      if (error instanceof DecodeError) return [undefined];
      throw error;
    }
  }

  private check(item: Bytes | undefined): Request | Refusal {
    const received = item && this.split(item);
    if (!received) return BLOCK_ERROR;
    const { corrId, entityId } = received;
    const problem = problemOf(this.options.params, received);
    if (problem) return { corrId, entityId: NONE, error: { kind: problem } };
    const command = this.parse(received);
    if ('kind' in command) return { corrId, entityId, error: command };
    const queue = this.authorize(received, command);
    if (queue === 'SERVICE' || queue === 'AUTH') return { corrId, entityId, error: { kind: queue } };
    return { corrId, entityId, command, queue };
  }

  private split(item: Bytes): Received | undefined {
    try {
      return decodeTransmission(this.options.params, item);
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  private parse({ command: bytes, auth, entityId }: Received): Command | ErrorType {
    let command: Command | undefined;
    try {
      command = decodeCommand(bytes, this.version);
    } catch (error) {
      if (error instanceof DecodeError) return { kind: 'CMD', reason: 'SYNTAX' };
      throw error;
    }
    if (!command) return { kind: 'CMD', reason: 'UNKNOWN' };
    const given = { auth: auth.length > 0, entity: entityId.length > 0 };
    const reason = credentialsProblem(command.word, given) ?? this.roleProblem(command);
    return reason ? { kind: 'CMD', reason } : command;
  }

  /** A notifier's service does nothing else. */
  private roleProblem({ word }: Command): 'PROHIBITED' | undefined {
    return this.options.service && !NOTIFIER_WORDS.includes(word) ? 'PROHIBITED' : undefined;
  }

  /** The queue that the command works on, or why it may not. */
  private authorize(received: Received, command: Command): Queue | undefined | 'AUTH' | 'SERVICE' {
    const { crypto, params, broker, privateKey, service } = this.options;
    const covered = authorizedAsReceived(params, received);
    if (!this.serviceAgrees(received, command, covered)) return 'SERVICE';
    const { queue, key } = rightTo(broker.store, command, received.entityId, service);
    if (key === 'nobody') return received.auth.length === 0 ? queue : 'AUTH';
    const session = { sessionPrivateKey: privateKey, corrId: received.corrId };
    const byKey = service && received.serviceSig ? authorizedInService(service.auth, covered) : covered;
    return verifyAuth(crypto, key, session, byKey, received.auth) ? queue : 'AUTH';
  }

  /** The service's signature is there and right, or neither there nor needed; NSUBS is for this service (guide F). */
  private serviceAgrees({ serviceSig, entityId }: Received, { word }: Command, covered: Bytes): boolean {
    const { crypto, service } = this.options;
    if (word === 'NSUBS') return service !== undefined && !serviceSig && sameBytes(entityId, service.id);
    if (!service || !takesServiceSignature(word)) return serviceSig === undefined;
    return serviceSig !== undefined && verifyServiceSignature(crypto, service.auth, covered, serviceSig);
  }

  private run({ command, queue }: Request): ServerMessage {
    const { broker, faults, counters } = this.options;
    const fault = faults.takeAnswer(command.word);
    const answer = fault ? failed(fault) : orCryptoError(() => broker.run(command, queue, this));
    if (answer.word === 'ERR') counters.errors++;
    return answer;
  }

  private sendAnswers(to: readonly (Request | Refusal)[], messages: readonly ServerMessage[]): void {
    this.sendItems(to.map(({ corrId, entityId }, i) => ({ corrId, entityId, message: messages[i]! })));
  }

  private sendItems(items: readonly (ServerEvent & { readonly corrId: Bytes })[]): void {
    const { params, codec, send } = this.options;
    const fitting = items
      .map((item) => ({ bytes: this.encode(item), word: item.message.word }))
      .filter(({ bytes }) => fitsBlock(bytes));
    let at = 0;
    const encoded = fitting.map(({ bytes }) => bytes);
    for (const batch of intoBatches(params, encoded, SMP_BLOCK_SIZE)) {
      const part = fitting.slice(at, at + batch.length);
      at += batch.length;
      send(codec.seal(encodeBatch(params, batch)), part.filter(({ word }) => word === 'NMSG').length);
    }
  }

  private encode({ corrId, entityId, message }: ServerEvent & { readonly corrId: Bytes }): Uint8Array {
    const command = encodeServerMessage(message, this.version);
    const entity = hasEntity(message) ? entityId : NONE;
    return encodeTransmission(this.options.params, { auth: NONE, corrId, entityId: entity, command });
  }
}

/** Real servers send nothing where an answer is too long, as a MSG under a huge corrId can be (guide E.2). */
const fitsBlock = (item: Bytes): boolean => item.length + ITEM_OVERHEAD <= batchCapacity(SMP_BLOCK_SIZE);

const failed = (error: ErrorType): ServerMessage => ({ word: 'ERR', error });

/** A few X25519 keys make no secret. */
function orCryptoError(run: () => ServerMessage): ServerMessage {
  try {
    return run();
  } catch (error) {
    if (error instanceof CryptoError) return failed({ kind: 'CRYPTO' });
    throw error;
  }
}

const hasEntity = ({ word }: ServerMessage): boolean => word !== 'IDS' && word !== 'PONG';
