/**
 * The queues that the phone wants to be woken for (guide I.3, I.4): what is to be done for each and when, and what
 * answers mean. Times come from the caller; nothing is sent here.
 */

import { type Bytes, latin1, sameBytes } from '../encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../encoding/keys.js';
import type { NtfResponse, NtfSubscriptionStatus } from '../ntf/responses.js';
import type { SmpQueue } from '../smp/address.js';

/** One queue as the messaging client set it up: NKEY, or NEW with notifier credentials. */
export interface QueueCredentials {
  readonly queue: SmpQueue;
  /** Private key of the notifier. */
  readonly notifierKey: Key<AuthAlgorithm>;
  /** X25519 of the client with the messaging server, for metadata (32). */
  readonly metadataSecret: Uint8Array;
}

/**
 * `create`: SNEW · `check`: SCHK · `renew`: new notifier credentials first, then SNEW ·
 * `failed`: the subscriber said no; renewed when the app starts or checks again.
 */
export type SubscriptionAction = 'create' | 'check' | 'renew' | 'failed';

export interface Subscription extends QueueCredentials {
  /** The app's own name for the queue. */
  readonly name: string;
  readonly subscriptionId?: Uint8Array;
  readonly status: NtfSubscriptionStatus['kind'];
  readonly action: SubscriptionAction;
  /** Unix milliseconds at which `action` is due. */
  readonly dueAt: number;
  /** Unix seconds of the newest message known, 0 = none. */
  readonly lastMessageAt: number;
  /** The newest signal known, in profile `porchlight`. */
  readonly lastSignal?: { readonly epoch: number; readonly sequence: number };
}

const DAY_MS = 86_400_000;
const FIRST_CHECK_MS = DAY_MS;
const CHECK_MS = 3 * DAY_MS;
/** Queues of one phone at most. */
export const MAX_QUEUES = 20_000;

/** Statuses after which the queue is set up from the start (guide I.4; SERVICE as 7.0 clients do). */
const LOST = ['END', 'DELETED', 'AUTH', 'ERR', 'SERVICE'];

export class Subscriptions {
  private readonly byName = new Map<string, Subscription>();
  private readonly byQueue = new Map<string, string>();

  constructor(saved: readonly Subscription[] = []) {
    for (const subscription of saved) this.put(subscription);
  }

  /** Takes a queue, or new credentials of one. Throws `RangeError` above 20,000 queues. */
  add(name: string, credentials: QueueCredentials, nowMs: number): void {
    const old = this.byName.get(name);
    if (old === undefined && this.byName.size >= MAX_QUEUES) throw new RangeError('too many queues');
    const lastMessageAt = old?.lastMessageAt ?? 0;
    this.put({ name, ...credentials, status: 'NEW', action: 'create', dueAt: nowMs, lastMessageAt });
  }

  /** Forgets a queue; returns what was known. */
  remove(name: string): Subscription | undefined {
    const old = this.byName.get(name);
    if (old) this.byQueue.delete(queueKey(old.queue));
    this.byName.delete(name);
    return old;
  }

  get(name: string): Subscription | undefined {
    return this.byName.get(name);
  }

  /** The subscription of a queue, by hosts, port and notifier id; the key hash is not compared (guide I.5). */
  find(queue: SmpQueue): Subscription | undefined {
    const name = this.byQueue.get(queueKey(queue));
    return name === undefined ? undefined : this.byName.get(name);
  }

  findById(id: Bytes): Subscription | undefined {
    for (const subscription of this.byName.values()) {
      const { subscriptionId } = subscription;
      if (subscriptionId !== undefined && sameBytes(subscriptionId, id)) return subscription;
    }
    return undefined;
  }

  all(): readonly Subscription[] {
    return [...this.byName.values()];
  }

  /** What is due, in the order in which it became due. */
  due(nowMs: number): readonly Subscription[] {
    return this.all()
      .filter((s) => s.action !== 'failed' && s.dueAt <= nowMs)
      .sort((a, b) => a.dueAt - b.dueAt);
  }

  /** When something is due next; undefined where nothing is. */
  get nextDueAt(): number | undefined {
    let next: number | undefined;
    for (const { action, dueAt } of this.byName.values()) {
      if (action !== 'failed' && (next === undefined || dueAt < next)) next = dueAt;
    }
    return next;
  }

  /** SNEW was answered. Any error is final until the next `repair` (guide I.3). */
  created(name: string, answer: NtfResponse, nowMs: number): void {
    this.change(name, afterCreate(answer, nowMs));
  }

  /** SCHK was answered (guide I.4). */
  checked(name: string, answer: NtfResponse, nowMs: number): void {
    this.change(name, afterCheck(answer, nowMs));
  }

  /** No answer: the same again later. */
  postpone(name: string, dueAt: number): void {
    this.change(name, { dueAt });
  }

  /** What failed starts over with new credentials. */
  repair(nowMs: number): void {
    for (const { name, action } of this.all()) {
      if (action === 'failed') this.change(name, { action: 'renew', dueAt: nowMs });
    }
  }

  /** The registration is a new one that knows none of the queues: all are announced again, as they are. */
  announceAll(nowMs: number): void {
    for (const { subscriptionId: _, lastSignal: __, ...rest } of this.all()) {
      this.byName.set(rest.name, { ...rest, status: 'NEW', action: 'create', dueAt: nowMs });
    }
  }

  /** A message of this time was seen, by a push or otherwise. */
  sawMessage(name: string, time: number): void {
    const known = this.byName.get(name);
    if (known && time > known.lastMessageAt) this.change(name, { lastMessageAt: time });
  }

  /** A push told this signal of the queue. */
  sawSignal(name: string, lastSignal: { readonly epoch: number; readonly sequence: number }): void {
    this.change(name, { lastSignal });
  }

  private change(name: string, change: Partial<Subscription>): void {
    const known = this.byName.get(name);
    if (known) this.byName.set(name, { ...known, ...change });
  }

  private put(subscription: Subscription): void {
    this.remove(subscription.name);
    this.byName.set(subscription.name, subscription);
    this.byQueue.set(queueKey(subscription.queue), subscription.name);
  }
}

function afterCreate(answer: NtfResponse, nowMs: number): Partial<Subscription> {
  if (answer.word !== 'IDSUB') return { action: 'failed' };
  const subscriptionId = answer.subscriptionId.slice();
  return { status: 'NEW', subscriptionId, action: 'check', dueAt: nowMs + FIRST_CHECK_MS };
}

function afterCheck(answer: NtfResponse, nowMs: number): Partial<Subscription> {
  if (answer.word === 'ERR' && answer.error.kind === 'AUTH') return { action: 'renew', dueAt: nowMs };
  if (answer.word !== 'SUB') return { action: 'failed' };
  const status = answer.status.kind;
  if (LOST.includes(status)) return { status, action: 'renew', dueAt: nowMs };
  return { status, action: 'check', dueAt: nowMs + CHECK_MS };
}

function queueKey({ server, notifierId }: SmpQueue): string {
  return `${server.hosts.join(',')} ${server.port} ${latin1(notifierId)}`;
}
