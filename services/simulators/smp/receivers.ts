/**
 * Which connection hears of which notifier: the one that subscribed it, or, where it is associated with a service,
 * the one that last subscribed as that service (guide G.3).
 */
import type { Bytes } from '../../../shared/encoding/bytes.js';
import type { Notifier } from './queues.js';
import { type Subscriber, Subscriptions } from './subscriptions.js';

/** Connections that lost something to another one. */
export interface Losers {
  /** Lost this notifier. */
  readonly notifier?: Subscriber | undefined;
  /** Lost all of the service. */
  readonly service?: Subscriber | undefined;
}

export class Receivers {
  private readonly single = new Subscriptions();
  private readonly services = new Subscriptions();

  of({ id, serviceId }: Notifier): Subscriber | undefined {
    return serviceId ? this.services.holder(serviceId) : this.single.holder(id);
  }

  /** NSUB: a service's associates the notifier with it, any other ends that. */
  take(notifier: Notifier, subscriber: Subscriber): Losers {
    const before = this.of(notifier);
    const { serviceId } = subscriber;
    notifier.serviceId = serviceId;
    if (!serviceId) {
      this.single.take(notifier.id, subscriber);
      return { notifier: before === subscriber ? undefined : before };
    }
    this.single.release(notifier.id);
    const service = this.services.take(serviceId, subscriber);
    return { notifier: before === subscriber || before === service ? undefined : before, service };
  }

  /** NSUBS; returns the connection that had the service. */
  takeService(serviceId: Bytes, subscriber: Subscriber): Subscriber | undefined {
    return this.services.take(serviceId, subscriber);
  }

  /** The notifier is gone; returns the connection that heard of it. */
  release(notifier: Notifier): Subscriber | undefined {
    const receiver = this.of(notifier);
    this.single.release(notifier.id);
    return receiver;
  }

  /** A connection is gone. */
  drop(subscriber: Subscriber): void {
    this.single.drop(subscriber);
    this.services.drop(subscriber);
  }

  /** Connections that hear of any notifier. */
  subscribers(): Set<Subscriber> {
    return new Set([...this.single.subscribers(), ...this.services.subscribers()]);
  }
}
