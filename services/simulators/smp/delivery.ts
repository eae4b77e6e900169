/**
 * What a real server does by timers (guide G.3): stored notifications are handed over in one batch per connection
 * every 1.5 s and are gone the moment they are in its send queue; END and DELD wait up to 15 s; what nobody took is
 * forgotten after a day.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { ServerMessage } from '../../../shared/smp/commands.js';
import { ID_SIZE, NONCE_SIZE, SINCE } from '../../../shared/smp/constants.js';
import type { SmpCounters } from './counters.js';
import type { FaultScript } from './faults.js';
import type { SmpLimits, SmpTiming } from './options.js';
import type { Notifier, QueueStore, StoredNotification } from './queues.js';
import type { Receivers } from './receivers.js';
import type { ServerEvent, Subscriber } from './subscriptions.js';

/** How many queues are associated with a service, and the exclusive-or of the MD5 of their notifiers' ids. */
export interface ServiceContents {
  readonly count: number;
  readonly idsHash: Uint8Array;
}

/** Length of a notification's encrypted metadata. */
const METADATA_SIZE = 144;

export interface DeliveryParts {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly timing: SmpTiming;
  readonly limits: SmpLimits;
  readonly store: QueueStore;
  readonly receivers: Receivers;
  readonly faults: FaultScript;
  readonly counters: SmpCounters;
}

export class Delivery {
  private readonly parts: DeliveryParts;
  /** Notifiers with something pending. */
  private readonly waiting = new Set<Notifier>();
  private readonly endings = new Map<Subscriber, ServerEvent[]>();
  private timers: Timer[] = [];

  constructor(parts: DeliveryParts) {
    this.parts = parts;
  }

  /** Starts the timers, and looks for what a state file brought. */
  start(): void {
    const { timing, store } = this.parts;
    for (const { notifier } of store.notified())
      if (notifier!.pending.length > 0) this.waiting.add(notifier!);
    this.every(timing.deliveryMs, 0, () => this.deliver());
    this.every(timing.endMs, 1, () => this.flushEndings());
    this.every(timing.expiryCheckMs, 2, () => this.expire());
  }

  stop(): void {
    for (const timer of this.timers) timer.cancel();
    this.timers = [];
    this.waiting.clear();
    this.endings.clear();
  }

  /** Keeps a notification for the next round. */
  store(notifier: Notifier, notification: StoredNotification): void {
    const { limits, counters } = this.parts;
    if (notifier.pending.length >= limits.queueNotifications) {
      notifier.pending.shift();
      counters.notificationsDropped++;
    }
    notifier.pending.push(notification);
    this.waiting.add(notifier);
    counters.notificationsStored++;
  }

  /** A notifier's credentials are gone, and with them what waited for it. */
  forget(notifier: Notifier): void {
    this.waiting.delete(notifier);
  }

  /** Tells a connection with the next round that a subscription of its is over. */
  end(subscriber: Subscriber, entityId: Uint8Array, cause: 'moved' | 'deleted'): void {
    const word = cause === 'deleted' && subscriber.version >= SINCE.deleted ? 'DELD' : 'END';
    this.endWith(subscriber, { entityId, message: { word } });
  }

  /** The same, of all subscriptions as a service. */
  endService(subscriber: Subscriber, serviceId: Uint8Array, contents: ServiceContents): void {
    this.endWith(subscriber, { entityId: serviceId, message: { word: 'ENDS', ...contents } });
  }

  private endWith(subscriber: Subscriber, event: ServerEvent): void {
    const events = this.endings.get(subscriber) ?? [];
    events.push(event);
    this.endings.set(subscriber, events);
  }

  /** A connection is gone. */
  drop(subscriber: Subscriber): void {
    this.endings.delete(subscriber);
  }

  private every(ms: number, slot: number, run: () => void): void {
    this.timers[slot] = this.parts.clock.after(ms, () => {
      this.every(ms, slot, run);
      run();
    });
  }

  private deliver(): void {
    const { receivers, faults, counters } = this.parts;
    const batches = new Map<Subscriber, ServerEvent[]>();
    for (const notifier of this.waiting) {
      const subscriber = receivers.of(notifier);
      if (!subscriber || subscriber.full) continue; // kept for the next round
      const events = batches.get(subscriber) ?? [];
      for (const notification of notifier.pending) {
        if (faults.takeVanish()) counters.notificationsLost++;
        else events.push(nmsg(notifier.id, notification));
      }
      batches.set(subscriber, events);
      notifier.pending = [];
      this.waiting.delete(notifier);
    }
    for (const [subscriber, events] of batches) {
      counters.notificationsSent += events.length;
      if (events.length > 0) subscriber.tell(events);
    }
    this.tellOfStrangers();
  }

  /** Fault: notifications of queues that nobody here follows. */
  private tellOfStrangers(): void {
    const { crypto, faults, receivers } = this.parts;
    if (!faults.takeStranger()) return;
    const notification = {
      nonce: crypto.randomBytes(NONCE_SIZE),
      metadata: crypto.randomBytes(METADATA_SIZE),
    };
    for (const subscriber of receivers.subscribers()) {
      subscriber.tell([nmsg(crypto.randomBytes(ID_SIZE), notification)]);
    }
  }

  private flushEndings(): void {
    for (const [subscriber, events] of this.endings) {
      if (subscriber.full) continue;
      this.endings.delete(subscriber);
      subscriber.tell(events);
    }
  }

  private expire(): void {
    const { clock, timing, counters } = this.parts;
    const oldest = clock.now() - timing.retentionMs;
    for (const notifier of this.waiting) {
      const kept = notifier.pending.filter(({ storedAt }) => storedAt > oldest);
      counters.notificationsExpired += notifier.pending.length - kept.length;
      notifier.pending = kept;
      if (kept.length === 0) this.waiting.delete(notifier);
    }
  }
}

function nmsg(
  entityId: Uint8Array,
  { nonce, metadata }: Pick<StoredNotification, 'nonce' | 'metadata'>,
): ServerEvent {
  const message: ServerMessage = { word: 'NMSG', nonce, metadata };
  return { entityId, message };
}
