/** Does what is due for the phone's queues (guide I.3, I.4): announces, checks, renews; comes back to what failed. */
import type { Clock } from '../run/clock.js';
import type { Connection } from './connection.js';
import type { Device } from './device.js';
import type { NtfRequest } from './ntf-client.js';
import type { QueueCredentials, Subscription, Subscriptions } from './subscriptions.js';
import { NtfConnectionError } from './transport.js';

/** Queues handled in one go. */
const BATCH = 150;
const RETRY_MIN_MS = 2_000;
const RETRY_MAX_MS = 180_000;
const RETRY_FACTOR = 1.5;

export interface UpkeepOptions {
  readonly connection: Connection;
  readonly subscriptions: Subscriptions;
  /** Asks the messaging client for new notifier credentials of a queue. */
  readonly renewNotifier: (name: string) => Promise<QueueCredentials>;
  readonly clock: Clock;
}

export class Upkeep {
  private readonly options: UpkeepOptions;
  private retryMs = RETRY_MIN_MS;

  constructor(options: UpkeepOptions) {
    this.options = options;
  }

  /** All that is due now. Never rejects for want of an answer: what got none is due again later. */
  async run(device: Device | undefined): Promise<void> {
    const { subscriptions, clock } = this.options;
    if (device?.status !== 'ACTIVE') return;
    for (;;) {
      const due = subscriptions.due(clock.now()).slice(0, BATCH);
      if (due.length === 0) return;
      await this.renew(due.filter((s) => s.action === 'renew'));
      const asked = due.filter((s) => s.action !== 'renew');
      if (!(await this.ask(device, asked))) return;
    }
  }

  private async renew(due: readonly Subscription[]): Promise<void> {
    const { subscriptions, renewNotifier, clock } = this.options;
    for (const { name } of due) {
      try {
        const credentials = await renewNotifier(name);
        // It may have been unsubscribed meanwhile.
        if (subscriptions.get(name)) subscriptions.add(name, credentials, clock.now());
      } catch {
        subscriptions.postpone(name, this.retryAt());
      }
    }
  }

  /** Whether answers came. */
  private async ask(device: Device, due: readonly Subscription[]): Promise<boolean> {
    const { connection, subscriptions, clock } = this.options;
    if (due.length === 0) return true;
    try {
      const answers = await connection.request(due.map((subscription) => requestFor(device, subscription)));
      due.forEach(({ name, action }, i) => {
        if (action === 'create') subscriptions.created(name, answers[i]!, clock.now());
        else subscriptions.checked(name, answers[i]!, clock.now());
      });
      this.retryMs = RETRY_MIN_MS;
      return true;
    } catch (error) {
      if (!(error instanceof NtfConnectionError)) throw error;
      const at = this.retryAt();
      for (const { name } of due) subscriptions.postpone(name, at);
      return false;
    }
  }

  private retryAt(): number {
    const at = this.options.clock.now() + this.retryMs;
    this.retryMs = Math.min(RETRY_MAX_MS, this.retryMs * RETRY_FACTOR);
    return at;
  }
}

function requestFor(device: Device, subscription: Subscription): NtfRequest {
  const { queue, notifierKey, subscriptionId } = subscription;
  const { tokenId } = device.registered!;
  const key = device.authKey.privateKey;
  return subscription.action === 'create'
    ? { command: { word: 'SNEW', tokenId, queue, notifierKey }, key }
    : { command: { word: 'SCHK' }, entityId: subscriptionId!, key };
}
