/** Which connection is told about which queue: one per id. Connections are forgotten whole. */
import { type Bytes, latin1 } from '../../../shared/encoding/bytes.js';
import type { ServerMessage } from '../../../shared/smp/commands.js';

/** What is sent without having been asked for. */
export interface ServerEvent {
  readonly entityId: Bytes;
  readonly message: ServerMessage;
}

/** A session, as far as it is told things. */
export interface Subscriber {
  readonly version: number;
  /** Of a session as a service. */
  readonly serviceId?: Bytes | undefined;
  /** Its send queue takes no more for now. */
  readonly full: boolean;
  tell(events: readonly ServerEvent[]): void;
}

export class Subscriptions {
  private readonly holders = new Map<string, Subscriber>();
  private readonly held = new Map<Subscriber, Set<string>>();

  get size(): number {
    return this.holders.size;
  }

  holder(id: Bytes): Subscriber | undefined {
    return this.holders.get(latin1(id));
  }

  subscribers(): IterableIterator<Subscriber> {
    return this.held.keys();
  }

  /** Moves the subscription; returns another connection that had it. */
  take(id: Bytes, subscriber: Subscriber): Subscriber | undefined {
    const key = latin1(id);
    const before = this.holders.get(key);
    if (before === subscriber) return undefined;
    this.release(id);
    this.holders.set(key, subscriber);
    this.held.set(subscriber, (this.held.get(subscriber) ?? new Set()).add(key));
    return before;
  }

  /** Ends the subscription; returns the connection that had it. */
  release(id: Bytes): Subscriber | undefined {
    const key = latin1(id);
    const holder = this.holders.get(key);
    if (!holder) return undefined;
    this.holders.delete(key);
    const keys = this.held.get(holder)!;
    keys.delete(key);
    if (keys.size === 0) this.held.delete(holder);
    return holder;
  }

  /** A connection is gone. */
  drop(subscriber: Subscriber): void {
    for (const key of this.held.get(subscriber) ?? []) this.holders.delete(key);
    this.held.delete(subscriber);
  }
}
