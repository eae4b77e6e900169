/**
 * One connection in use: NSUBs out, many blocks at a time, answers and events in (guide E, F, G). Every answer is
 * matched by its corrId; order and grouping do not matter. Decides nothing about statuses: see `Follower`.
 */
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { sameBytes, utf8, wipe } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import type { Clock, Timer } from '../../../../shared/run/clock.js';
import { AUTH_LENGTH, authorize, authorizedInService, signAsService } from '../../../../shared/smp/auth.js';
import { decodeServerMessage, encodeCommand, type ServerMessage } from '../../../../shared/smp/commands.js';
import { ID_SIZE, MAX_BATCH, SMP_BLOCK_SIZE } from '../../../../shared/smp/constants.js';
import {
  authorized,
  batchCapacity,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  ITEM_OVERHEAD,
  type Received,
} from '../../../../shared/smp/transmission.js';
import type { ServiceContents } from './associations.js';
import type { Link } from './connector.js';
import type { SmpMetrics } from './metrics.js';
import type { QueueTable } from './queues.js';
import { type Answer, answerOf, NO_AUTHENTICATOR, UNEXPECTED } from './statuses.js';

/** NSUBs without an answer at one time: about 20 blocks. Bounds the memory of what waits, and the burst. */
const WINDOW = 2_700;
const RESPONSE_MS = 30_000;
const PING_AFTER_MS = 30_000;
const DEAD_AFTER_MS = 15_000;

const NSUB = utf8('NSUB');
const PING = utf8('PING');
const EMPTY = new Uint8Array(0);
/** In a service session the second signature is there, with its length. */
const SERVICE_SIG_LENGTH = 1 + AUTH_LENGTH.ed25519;
/** In place of a row: the answer is for all queues of the service. */
const WHOLE_SERVICE = -1;

/** Why a connection ended, not by our own `close`. */
export type LossCause = 'peer' | 'silent' | 'protocol' | 'service' | 'canary';

export interface SessionEvents {
  /** The one answer to an NSUB that was sent; a time-out is `temporary`. */
  answered(row: number, answer: Answer): void;
  /** NMSG. The arrays are views. */
  notified(notifierId: Uint8Array, nonce: Uint8Array, metadata: Uint8Array): void;
  ended(notifierId: Uint8Array): void;
  deleted(notifierId: Uint8Array): void;
  /** The one answer to NSUBS: what the server holds, undefined where it is no success. Arrays are views. */
  serviceAnswered(contents: ServiceContents | undefined): void;
  /** Another connection subscribed as our service: this one hears nothing more of its queues. */
  serviceEnded(): void;
  /** There is room for more NSUBs; may come without need. */
  writable(): void;
  /** The connection is gone. NSUBs without an answer get none. */
  closed(cause: LossCause): void;
}

/** Queues to subscribe, one after another. */
export interface Subscribing {
  /** The next one, without taking it. */
  next(): number | undefined;
  /** Takes it: its NSUB stands in the block. */
  sent(row: number): void;
}

export interface SessionTools {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly metrics: SmpMetrics;
}

interface Waiting {
  readonly row: number;
  readonly dueMs: number;
}

export class Session {
  private readonly link: Link;
  private readonly queues: QueueTable;
  private readonly tools: SessionTools;
  private events: SessionEvents;
  /** First 48 bits of the corrId → the queue; in the order of sending. */
  private readonly waiting = new Map<number, Waiting>();
  private responseTimer: Timer | undefined;
  private silenceTimer: Timer | undefined;
  private heardMs: number;
  private writable = true;
  private open = true;

  constructor(link: Link, queues: QueueTable, tools: SessionTools, events: SessionEvents) {
    this.link = link;
    this.queues = queues;
    this.tools = tools;
    this.events = events;
    this.heardMs = tools.clock.monotonic();
    this.silenceTimer = tools.clock.after(PING_AFTER_MS, () => this.silent());
    link.transport.listen({
      block: (block) => this.received(block),
      drained: () => this.drained(),
      heard: () => this.heard(),
      closed: (broken) => this.lose(broken ? 'protocol' : 'peer'),
    });
  }

  /** Whether one more block of NSUBs may go out now; if not, `writable` will tell. */
  get ready(): boolean {
    return this.open && this.writable && this.waiting.size + MAX_BATCH <= WINDOW;
  }

  /** Whether an answer is awaited. */
  get waits(): boolean {
    return this.waiting.size > 0;
  }

  /** Tells everything to somebody else from now on. */
  redirect(events: SessionEvents): void {
    this.events = events;
  }

  /** Sends one block of NSUBs and nothing else: servers load the queues of a pure block at once (guide G.4). */
  subscribe(queues: Subscribing): void {
    const items: Uint8Array[] = [];
    let room = batchCapacity(SMP_BLOCK_SIZE);
    for (let row = queues.next(); row !== undefined && items.length < MAX_BATCH; row = queues.next()) {
      room -= this.sizeOf(row);
      if (room < 0) break;
      queues.sent(row);
      const item = this.nsub(row);
      if (item) items.push(item);
      else this.events.answered(row, NO_AUTHENTICATOR);
    }
    if (items.length > 0) this.send(items);
    this.watchResponses();
  }

  /** NSUBS: subscribes all queues that the server associates with our service. Only in a session as one. */
  subscribeService(expected: Required<ServiceContents>): void {
    const { crypto } = this.tools;
    const { params, version } = this.link;
    const service = this.link.service!;
    const corrId = this.corrId();
    const command = encodeCommand({ word: 'NSUBS', ...expected }, version);
    const transmission = { corrId, entityId: service.id, command };
    const auth = signAsService(crypto, service.auth, authorized(params, transmission));
    this.expect(corrId, WHOLE_SERVICE);
    this.send([encodeTransmission(params, { auth, ...transmission })]);
    this.watchResponses();
  }

  /** Ends the connection; nothing is told afterwards. */
  close(): void {
    this.open = false;
    this.responseTimer?.cancel();
    this.silenceTimer?.cancel();
    this.waiting.clear();
    this.link.blocks.close();
    wipe(this.link.service?.auth.sessionKey);
    this.link.transport.close();
  }

  /** Bytes of a queue's NSUB in a block, its length field included. */
  private sizeOf(row: number): number {
    const { sendsSessionId, hasServiceSig, sessionId } = this.link.params;
    const serviceSig = this.link.service ? 1 + SERVICE_SIG_LENGTH : 1;
    const auth = 1 + AUTH_LENGTH[this.queues.key(row).algorithm] + (hasServiceSig ? serviceSig : 0);
    const ids = 2 * (1 + ID_SIZE) + (sendsSessionId ? 1 + sessionId.length : 0);
    return ITEM_OVERHEAD + auth + ids + NSUB.length;
  }

  /** Undefined where the session has no key for the queue's kind of authorisation. */
  private nsub(row: number): Uint8Array | undefined {
    const { crypto } = this.tools;
    const { params, serverKey, service } = this.link;
    const key = this.queues.key(row);
    if (key.algorithm === 'x25519' && !serverKey) return undefined;
    const corrId = this.corrId();
    const command = { corrId, entityId: this.queues.notifierId(row), command: NSUB };
    const covered = authorized(params, command);
    const byKey = service ? authorizedInService(service.auth, covered) : covered;
    const auth = authorize(crypto, key, { sessionServerKey: serverKey, corrId }, byKey);
    const serviceSig = service && signAsService(crypto, service.auth, covered);
    this.expect(corrId, row);
    return encodeTransmission(params, { auth, ...(serviceSig && { serviceSig }), ...command });
  }

  private expect(corrId: Uint8Array, row: number): void {
    this.waiting.set(numberOf(corrId), { row, dueMs: this.tools.clock.monotonic() + RESPONSE_MS });
  }

  /** 24 random bytes (also the nonce of authenticators) whose number is not waiting. */
  private corrId(): Uint8Array {
    for (;;) {
      const corrId = this.tools.crypto.randomBytes(ID_SIZE);
      if (!this.waiting.has(numberOf(corrId))) return corrId;
    }
  }

  private send(items: readonly Uint8Array[]): void {
    const { params, blocks, transport } = this.link;
    if (!transport.send(blocks.seal(encodeBatch(params, items)))) this.writable = false;
  }

  private ping(): void {
    const { params } = this.link;
    const corrId = this.corrId();
    this.send([encodeTransmission(params, { auth: EMPTY, corrId, entityId: EMPTY, command: PING })]);
  }

  private heard(): void {
    this.heardMs = this.tools.clock.monotonic();
  }

  /** After 30 s without a byte a PING; dead if 15 s later there is still none (design §3). */
  private silent(pingedMs?: number): void {
    const { clock } = this.tools;
    const idleMs = clock.monotonic() - this.heardMs;
    if (pingedMs !== undefined && this.heardMs < pingedMs) {
      this.lose('silent');
      return;
    }
    const due = idleMs >= PING_AFTER_MS;
    if (due) this.ping();
    const nowMs = clock.monotonic();
    this.silenceTimer = due
      ? clock.after(DEAD_AFTER_MS, () => this.silent(nowMs))
      : clock.after(PING_AFTER_MS - idleMs, () => this.silent());
  }

  private watchResponses(): void {
    const [oldest] = this.waiting.values();
    if (this.responseTimer || !oldest) return;
    this.responseTimer = this.tools.clock.after(oldest.dueMs - this.tools.clock.monotonic(), () => {
      this.responseTimer = undefined;
      this.expire();
      this.watchResponses();
    });
  }

  /** Answers that did not come in time: temporary failures. Should they come later, they are ignored. */
  private expire(): void {
    const nowMs = this.tools.clock.monotonic();
    for (const [number, { row, dueMs }] of this.waiting) {
      if (dueMs > nowMs) break;
      this.waiting.delete(number);
      if (row === WHOLE_SERVICE) this.events.serviceAnswered(undefined);
      else this.events.answered(row, { kind: 'temporary' });
    }
    this.tellWritable();
  }

  private received(block: Uint8Array): void {
    const { params, blocks } = this.link;
    let transmissions: Received[];
    try {
      transmissions = decodeBlock(params, blocks.open(block));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.lose('protocol'); // signals may have been in it: a new connection asks for what was missed
      return;
    }
    for (const transmission of transmissions) if (this.open) this.handle(transmission);
    this.tellWritable();
  }

  private handle(received: Received): void {
    const { params } = this.link;
    if (received.sessionId && !sameBytes(received.sessionId, params.sessionId)) this.ignored();
    else if (received.corrId.length === 0) this.event(received.entityId, this.read(received.command));
    else this.answer(received);
  }

  private read(command: Uint8Array): ServerMessage | undefined {
    try {
      return decodeServerMessage(command, this.link.version);
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  private isService(entityId: Uint8Array): boolean {
    const { service } = this.link;
    return service !== undefined && sameBytes(entityId, service.id);
  }

  private event(notifierId: Uint8Array, message: ServerMessage | undefined): void {
    if (message?.word === 'NMSG') this.events.notified(notifierId, message.nonce, message.metadata);
    else if (message?.word === 'END') this.events.ended(notifierId);
    else if (message?.word === 'DELD') this.events.deleted(notifierId);
    else if (message?.word === 'ENDS' && this.isService(notifierId)) this.events.serviceEnded();
    else this.ignored();
  }

  private answer({ corrId, entityId, command }: Received): void {
    const number = corrId.length === ID_SIZE ? numberOf(corrId) : -1;
    const waiting = this.waiting.get(number);
    const message = this.read(command);
    if (waiting) {
      this.waiting.delete(number);
      const { row } = waiting;
      if (row === WHOLE_SERVICE) this.events.serviceAnswered(this.contents(entityId, message));
      else this.events.answered(row, this.judge(row, entityId, message));
    } else if (message?.word !== 'PONG') this.tools.metrics.smp_answers_total.inc({ outcome: 'late' });
  }

  /** Only errors may come without the entity (guide E.4). */
  private judge(row: number, entityId: Uint8Array, message: ServerMessage | undefined): Answer {
    const ours = sameBytes(entityId, this.queues.notifierId(row));
    if (message?.word === 'ERR' && (ours || entityId.length === 0)) return answerOf(message.error);
    if (!ours || (message?.word !== 'SOK' && message?.word !== 'OK')) return UNEXPECTED;
    return { kind: 'subscribed', serviceId: message.word === 'SOK' ? message.serviceId : undefined };
  }

  private contents(entityId: Uint8Array, message: ServerMessage | undefined): ServiceContents | undefined {
    return message?.word === 'SOKS' && this.isService(entityId) ? message : undefined;
  }

  private ignored(): void {
    this.tools.metrics.smp_ignored_total.inc();
  }

  private drained(): void {
    this.writable = true;
    this.tellWritable();
  }

  private tellWritable(): void {
    if (this.ready) this.events.writable();
  }

  private lose(cause: LossCause): void {
    if (!this.open) return;
    this.close();
    this.events.closed(cause);
  }
}

/** The first 48 bits as a number. */
const numberOf = (corrId: Uint8Array): number =>
  ((corrId[0]! << 8) | corrId[1]!) * 2 ** 32 +
  (((corrId[2]! << 24) | (corrId[3]! << 16) | (corrId[4]! << 8) | corrId[5]!) >>> 0);
