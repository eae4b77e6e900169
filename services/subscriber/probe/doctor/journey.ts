/**
 * One signal, followed from a message to the subscriber, or to a phone: a queue is made on the server that the user
 * names, followed by the running source, written to, and deleted at the end, however that comes.
 */
import { utf8, wipe } from '../../../../shared/encoding/bytes.js';
import type { ServerAddress, SmpQueue } from '../../../../shared/smp/address.js';
import type { Device } from '../../registry/device.js';
import type { DeviceRegistry, SubscriptionRegistry } from '../../registry/registry.js';
import type { NotifierKey } from '../../sources/smp/source.js';
import type { WakeEngine } from '../../wake/wake.js';
import { followOwn, openUser, type ProbeSource, type UserTools } from '../own-queue.js';
import type { QueueWatch, WatchedSink } from '../queue-watch.js';
import { type NotifierCredentials, type OwnQueue, type SmpUser, wipeQueue } from '../smp-user.js';
import { commandTrouble } from './fixes.js';
import { type Hops, HopTrouble } from './hops.js';
import { type PushTrail, trailOf } from './push.js';
import { reach } from './reach.js';

/** Servers hand signals over every 1.5 s (guide G.3). */
const SIGNAL_MS = 15_000;
const FOLLOW_MS = 15_000;
const DELETE_MS = 5_000;
const BODY = utf8('doctor');

export interface JourneyTools extends UserTools {
  readonly source: ProbeSource;
  readonly sink: WatchedSink;
  readonly registry: Pick<DeviceRegistry, 'deviceById'> & SubscriptionRegistry<SmpQueue, NotifierKey>;
  readonly wake: Pick<WakeEngine, 'watch'>;
}

/** A queue that is followed for the journey. */
interface Followed {
  readonly watch: QueueWatch;
  /** To a phone. */
  readonly trail?: PushTrail;
  stop(): void;
}

/** @param phone who gets the signal. Throws `Stopped` where a hop failed. */
export async function journey(
  hops: Hops,
  tools: JourneyTools,
  server: ServerAddress,
  phone: Device | undefined,
): Promise<void> {
  const user = await reach(hops, tools, server);
  let own: OwnQueue | undefined;
  let followed: Followed | undefined;
  try {
    const queue = await hops.hop('NEW', 'queue made', () => user.createQueue(), commandTrouble);
    own = queue;
    const enable = () => user.enableNotifications(queue);
    const notifier = await hops.hop('NKEY', 'notifications enabled', enable, commandTrouble);
    const follow = () => subscribed(hops, tools, server, queue, notifier, phone);
    followed = await hops.hop('NSUB', 'followed by the source', follow);
    await send(hops, user, queue, followed.watch);
    await followed.trail?.follow(hops);
  } finally {
    followed?.stop();
    if (own) await remove(hops, tools, server, user, own);
    user.close();
  }
}

async function subscribed(
  hops: Hops,
  tools: JourneyTools,
  server: ServerAddress,
  own: OwnQueue,
  notifier: NotifierCredentials,
  phone: Device | undefined,
): Promise<Followed> {
  const followed =
    phone === undefined
      ? followHere(tools, server, own, notifier)
      : followForPhone(hops, tools, server, notifier, phone);
  const { watch } = followed;
  if (await watch.until(() => watch.status === 'active' || watch.isLost, hops.atMost(FOLLOW_MS))) {
    if (watch.status === 'active') return followed;
  }
  followed.stop();
  if (watch.isLost)
    throw new HopTrouble(`the server answered: ${watch.status}`, 'look at the log of the server');
  throw new HopTrouble(
    'not confirmed in time',
    "the subscriber's own connection to the server is away: it is dialled again by itself, see smp_connects_total in /metrics",
  );
}

function followHere(
  { source, sink }: JourneyTools,
  server: ServerAddress,
  own: OwnQueue,
  notifier: NotifierCredentials,
): Followed {
  const followed = followOwn(source, sink, server, own, notifier);
  if (followed === undefined) {
    throw new HopTrouble('not taken by the source', 'raise smp.max_servers or limits.subscriptions');
  }
  const { watch, handle } = followed;
  return {
    watch,
    stop() {
      source.unfollow(handle);
      watch.end();
    },
  };
}

const REFUSALS: Readonly<Record<'taken' | 'prohibited' | 'servers' | 'full', [detail: string, fix: string]>> =
  {
    taken: ['the phone is not verified', 'open the app on the phone, and let it finish its registration'],
    prohibited: ['the address may not be dialled', 'list the network in smp.allow_networks'],
    servers: ['the phone brought too many new servers today', 'name a server that it has queues on'],
    full: ['no room', 'raise limits.subscriptions, limits.subscriptions_per_device or smp.max_servers'],
  };

function followForPhone(
  hops: Hops,
  { registry, sink, wake }: JourneyTools,
  server: ServerAddress,
  notifier: NotifierCredentials,
  phone: Device,
): Followed {
  const result = registry.subscribe(phone, { server, notifierId: notifier.id }, notifier.key);
  wipe(notifier.key.raw, notifier.secret);
  if ('refused' in result) throw new HopTrouble(...REFUSALS[result.refused]);
  const { subscription } = result;
  const watch = sink.watch(subscription.ref);
  const trail = watch && trailOf(hops, wake, watch);
  const stop = (): void => {
    trail?.stop();
    watch?.end();
    registry.unsubscribe(subscription);
  };
  if (watch && trail) return { watch, trail, stop };
  stop();
  throw new HopTrouble('too many queues are watched', 'end other doctors and traces');
}

async function send(hops: Hops, user: SmpUser, { senderId }: OwnQueue, watch: QueueWatch): Promise<void> {
  const before = watch.signals;
  await hops.hop('SEND', 'message taken', () => user.send(senderId, BODY), commandTrouble);
  const arrives = async (): Promise<void> => {
    if (await watch.until(() => watch.signals > before, hops.atMost(SIGNAL_MS))) return;
    throw new HopTrouble(
      'no signal came',
      'the server took the message and told nobody: notifications may be off there; else a connection is dead, which a canary (smp.canaries) finds and mends',
    );
  };
  await hops.hop('NMSG', 'the signal arrived', arrives);
}

/** On the connection that is there, or a new one where it is gone. */
async function remove(
  hops: Hops,
  tools: UserTools,
  server: ServerAddress,
  user: SmpUser,
  own: OwnQueue,
): Promise<void> {
  const again = async (): Promise<void> => {
    const other = await openUser(tools, server, DELETE_MS);
    await other.deleteQueue(own).finally(() => other.close());
  };
  const startedMs = hops.clock.monotonic();
  const deleted = await user
    .deleteQueue(own)
    .catch(again)
    .then(
      () => true,
      () => false,
    );
  wipeQueue(own);
  const finding = { name: 'DEL', ms: hops.clock.monotonic() - startedMs };
  if (deleted) hops.say({ ...finding, state: 'ok', detail: 'queue deleted' });
  else {
    const fix = 'nothing: one empty queue stays behind on the server';
    hops.say({ ...finding, state: 'warning', detail: 'the queue could not be deleted', fix });
  }
}
