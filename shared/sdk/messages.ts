/** Which of a push's items are news (guide I.5). Pure. */
import type { PayloadItem } from '../ntf/payload.js';
import type { PorchlightPush, PushEntry, SignalClass } from '../push/porchlight-profile.js';
import { ahead } from './delivery.js';
import type { SdkCrypto } from './nacl.js';
import { type MessageMeta, openMetadata } from './open.js';
import type { Subscription, Subscriptions } from './subscriptions.js';

/** A message waits in this queue. */
export interface MessageNews {
  /** The app's name for the queue. */
  readonly name: string;
  /** Absent where the metadata can't be opened. */
  readonly message?: MessageMeta;
  /** Profile `porchlight` only. */
  readonly class?: SignalClass;
}

/**
 * Items of known queues, oldest first. The last item is always news; those before it only if they are newer than
 * what is known of their queue: each push repeats what earlier ones said. Remembers what it reports.
 */
export function newsIn(
  crypto: SdkCrypto,
  items: readonly PayloadItem[],
  subscriptions: Subscriptions,
): MessageNews[] {
  const news: MessageNews[] = [];
  for (const item of items) {
    const subscription = subscriptions.find(item.queue);
    if (subscription === undefined) continue;
    const message = openMetadata(crypto, subscription.metadataSecret, item);
    if (item !== items.at(-1) && !isNewer(message, subscription)) continue;
    if (message) subscriptions.sawMessage(subscription.name, message.time);
    news.push({ name: subscription.name, ...(message && { message }) });
  }
  return news;
}

const isNewer = (message: MessageMeta | undefined, { lastMessageAt }: Subscription): boolean =>
  message !== undefined && message.time > lastMessageAt;

/**
 * The same for profile `porchlight`, whose entries name subscriptions and count signals: news is what differs from the
 * newest known signal of its queue.
 */
export function newsInPush(
  crypto: SdkCrypto,
  { epoch, entries }: PorchlightPush,
  subscriptions: Subscriptions,
): MessageNews[] {
  const news: MessageNews[] = [];
  for (const entry of entries) {
    const subscription = subscriptions.findById(entry.subscriptionId);
    if (subscription === undefined || isKnown(entry, epoch, subscription)) continue;
    const { name, metadataSecret } = subscription;
    const message = entry.sealed && openMetadata(crypto, metadataSecret, entry.sealed);
    subscriptions.sawSignal(name, { epoch, sequence: entry.sequence });
    if (message) subscriptions.sawMessage(name, message.time);
    news.push({ name, class: entry.class, ...(message && { message }) });
  }
  return news;
}

const isKnown = (entry: PushEntry, epoch: number, { lastSignal }: Subscription): boolean =>
  lastSignal?.epoch === epoch && ahead(entry.sequence, lastSignal.sequence) <= 0;
