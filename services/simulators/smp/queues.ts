/** Queues in memory, found by any of their three ids. */
import { type Bytes, latin1 } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import type { QueueMode } from '../../../shared/smp/commands.js';

export interface StoredMessage {
  readonly id: Uint8Array;
  /** Unix seconds. */
  readonly timestamp: number;
  /** Without a body: the mark that the queue was full. */
  readonly content: { readonly notify: boolean; readonly body: Uint8Array } | undefined;
}

/** A notification that nobody has taken yet. */
export interface StoredNotification {
  readonly nonce: Uint8Array;
  readonly metadata: Uint8Array;
  /** Unix milliseconds. */
  readonly storedAt: number;
}

export interface Notifier {
  readonly id: Uint8Array;
  readonly key: Key<AuthAlgorithm>;
  /** X25519 secret with the recipient: encrypts metadata. */
  readonly secret: Uint8Array;
  /** The service that it is associated with. */
  serviceId?: Uint8Array | undefined;
  /** Oldest first. */
  pending: StoredNotification[];
}

export interface Queue {
  readonly recipientId: Uint8Array;
  readonly senderId: Uint8Array;
  readonly recipientKey: Key<AuthAlgorithm>;
  /** X25519 secret with the recipient: encrypts bodies. */
  readonly secret: Uint8Array;
  readonly mode: QueueMode | undefined;
  senderKey: Key<AuthAlgorithm> | undefined;
  notifier: Notifier | undefined;
  /** Oldest first; the first one stays until it is acknowledged. */
  readonly messages: StoredMessage[];
  /** It was full and has not been emptied since. */
  full: boolean;
}

export class QueueStore {
  private readonly recipients = new Map<string, Queue>();
  private readonly senders = new Map<string, Queue>();
  private readonly notifiers = new Map<string, Queue>();

  get size(): number {
    return this.recipients.size;
  }

  all(): IterableIterator<Queue> {
    return this.recipients.values();
  }

  /** Queues that have a notifier. */
  notified(): IterableIterator<Queue> {
    return this.notifiers.values();
  }

  byRecipient(id: Bytes): Queue | undefined {
    return this.recipients.get(latin1(id));
  }

  bySender(id: Bytes): Queue | undefined {
    return this.senders.get(latin1(id));
  }

  byNotifier(id: Bytes): Queue | undefined {
    return this.notifiers.get(latin1(id));
  }

  add(queue: Queue): void {
    this.recipients.set(latin1(queue.recipientId), queue);
    this.senders.set(latin1(queue.senderId), queue);
    if (queue.notifier) this.notifiers.set(latin1(queue.notifier.id), queue);
  }

  /** Gives a queue other notifier credentials, or none; returns those it had. */
  setNotifier(queue: Queue, notifier: Notifier | undefined): Notifier | undefined {
    const old = queue.notifier;
    if (old) this.notifiers.delete(latin1(old.id));
    queue.notifier = notifier;
    if (notifier) this.notifiers.set(latin1(notifier.id), queue);
    return old;
  }

  remove(queue: Queue): void {
    this.setNotifier(queue, undefined);
    this.recipients.delete(latin1(queue.recipientId));
    this.senders.delete(latin1(queue.senderId));
  }

  clear(): void {
    for (const map of [this.recipients, this.senders, this.notifiers]) map.clear();
  }
}
