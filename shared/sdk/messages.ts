/** Which of a push's items are news (guide I.5). Pure. */
import type { PayloadItem } from '../ntf/payload.js';
import type { SdkCrypto } from './nacl.js';
import { type MessageMeta, openMetadata } from './open.js';
import type { Subscription, Subscriptions } from './subscriptions.js';

/** A message waits in this queue. */
export interface MessageNews {
  /** The app's name for the queue. */
  readonly name: string;
  /** Absent where the metadata can't be opened. */
  readonly message?: MessageMeta;
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
