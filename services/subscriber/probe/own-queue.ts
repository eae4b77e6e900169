/** A queue of the subscriber's own: made by it as a user, followed by its source like any phone's. */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { ServerAddress, SmpQueue } from '../../../shared/smp/address.js';
import type { NotifierKey, SmpSource } from '../sources/smp/source.js';
import type { Source } from '../sources/source.js';
import type { QueueWatch, WatchedSink } from './queue-watch.js';
import { type NotifierCredentials, type OwnQueue, SmpUser, wipeQueue } from './smp-user.js';

/** What probes need of the source. */
export type ProbeSource = Pick<Source<SmpQueue, NotifierKey>, 'follow' | 'unfollow'> &
  Pick<SmpSource, 'open' | 'reconnect'>;

/** What probes need of a connection as a user. */
export type QueueUser = Pick<
  SmpUser,
  'createQueue' | 'enableNotifications' | 'send' | 'deleteQueue' | 'close'
>;

export interface UserTools {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly source: Pick<ProbeSource, 'open'>;
}

/** A connection as a user, no later than `ms` from now. Rejects like `SmpSource.open`. */
export async function openUser(
  { crypto, clock, source }: UserTools,
  server: ServerAddress,
  ms: number,
  reached?: Parameters<ProbeSource['open']>[2],
): Promise<SmpUser> {
  const limit = new AbortController();
  const timer = clock.after(ms, () => limit.abort());
  try {
    return new SmpUser({ crypto, clock }, await source.open(server, limit.signal, reached));
  } finally {
    timer.cancel();
  }
}

/** A followed queue and what was heard of it. */
export interface FollowedQueue {
  readonly own: OwnQueue;
  readonly watch: QueueWatch;
  /** The source's. */
  readonly handle: number;
}

/** Follows a queue that is no device's; undefined where the source refuses it. The credentials' key is overwritten. */
export function followOwn(
  source: Pick<ProbeSource, 'follow'>,
  sink: WatchedSink,
  server: ServerAddress,
  own: OwnQueue,
  notifier: NotifierCredentials,
): FollowedQueue | undefined {
  const watch = sink.watch();
  if (watch === undefined) return undefined;
  const followed = source.follow({ server, notifierId: notifier.id }, notifier.key, watch.ref);
  wipe(notifier.key.raw, notifier.secret);
  if ('handle' in followed) return { own, watch, handle: followed.handle };
  watch.end();
  return undefined;
}

/** Stops following, and deletes the queue where that can be done: a server that doesn't answer keeps it. */
export async function discard(
  source: Pick<ProbeSource, 'unfollow'>,
  { own, watch, handle }: FollowedQueue,
  user: Pick<QueueUser, 'deleteQueue'> | undefined,
): Promise<void> {
  source.unfollow(handle);
  watch.end();
  await user?.deleteQueue(own).catch(() => {});
  wipeQueue(own);
}
