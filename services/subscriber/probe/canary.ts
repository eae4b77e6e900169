/**
 * Sends itself a message through one messaging server every few minutes, and waits for the signal on the connection
 * that phones' queues are followed on: a path that looks alive and carries nothing is found without any phone. Its
 * queue is no device's. Messages are not received but deleted with their queue, which is replaced long before it is
 * full (guide G.2: 128).
 */
import { utf8 } from '../../../shared/encoding/bytes.js';
import { Backoff } from '../../../shared/run/backoff.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { ServerAddress } from '../../../shared/smp/address.js';
import type { ProbeMetrics } from './metrics.js';
import { discard, type FollowedQueue, followOwn, type ProbeSource, type QueueUser } from './own-queue.js';
import type { WatchedSink } from './queue-watch.js';
import { SmpCommandError, wipeQueue } from './smp-user.js';

export type CanaryState = 'starting' | 'ok' | 'silent' | 'unreachable';
type CanaryResult = 'arrived' | 'silent' | 'unfollowed' | 'lost' | 'refused' | 'unreachable';

/** Servers hand signals over every 1.5 s (guide G.3); the rest is for slow ways such as Tor. */
const SILENT_MS = 30_000;
/** For the source to subscribe a new queue, or an old one on a new connection. */
const FOLLOW_MS = 60_000;
const CONNECT_MS = 45_000;
/** At the end of the process, to connect, and again to delete the queue. */
const CLOSE_MS = 1_500;
/** Canaries of one process don't begin all at once. */
const START_SPREAD_MS = 30_000;
const QUEUE_MESSAGES = 100;
const QUEUE_MS = 24 * 3_600_000;
/** A silence that goes on: the connection is made anew at once, then after ever longer times. */
const RECONNECT_MIN_MS = 10 * 60_000;
const RECONNECT_MAX_MS = 6 * 3_600_000;

/** A queue that is lost says nothing about the server's state: the next one will. */
const STATE_AFTER: Readonly<Record<CanaryResult, CanaryState | undefined>> = {
  arrived: 'ok',
  silent: 'silent',
  unfollowed: 'silent',
  lost: undefined,
  refused: 'unreachable',
  unreachable: 'unreachable',
};
/** Any body will do; whoever runs the server may know what it is. */
const BODY = utf8('canary');

export interface CanaryShared {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProbeMetrics;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly source: Pick<ProbeSource, 'follow' | 'unfollow' | 'reconnect'>;
  readonly sink: WatchedSink;
  readonly openUser: (server: ServerAddress, ms: number) => Promise<QueueUser>;
  /** Between two messages, on average. */
  readonly intervalMs: number;
  /** The state of a canary changed. */
  readonly changed: () => void;
}

interface CanaryQueue extends FollowedQueue {
  readonly madeMs: number;
  messages: number;
}

export class Canary {
  state: CanaryState = 'starting';
  private readonly server: ServerAddress;
  /** By which log lines name it: its place in the configuration. */
  private readonly number: number;
  private readonly shared: CanaryShared;
  private readonly reconnects: Backoff;
  private reconnectAtMs = 0;
  private queue: CanaryQueue | undefined;
  private wake: () => void = () => {};
  private closed = false;

  constructor(server: ServerAddress, number: number, shared: CanaryShared) {
    this.server = server;
    this.number = number;
    this.shared = shared;
    const { random } = shared;
    this.reconnects = new Backoff({ minMs: RECONNECT_MIN_MS, maxMs: RECONNECT_MAX_MS, random });
    void this.run();
  }

  /** Deletes the queue where that can be done at once. */
  async close(): Promise<void> {
    this.closed = true;
    this.wake();
    const { queue } = this;
    this.queue = undefined;
    if (queue === undefined) return;
    const { openUser, clock, source } = this.shared;
    const user = await openUser(this.server, CLOSE_MS).catch(() => undefined);
    const limit = clock.after(CLOSE_MS, () => user?.close());
    await discard(source, queue, user);
    limit.cancel();
    user?.close();
  }

  private async run(): Promise<void> {
    const { random, intervalMs, metrics } = this.shared;
    await this.pause(random() * START_SPREAD_MS);
    while (!this.closed) {
      const result = await this.round();
      if (this.closed) return;
      metrics.canary_messages_total.inc({ result });
      this.enter(STATE_AFTER[result] ?? this.state);
      await this.pause(intervalMs * (0.5 + random()));
    }
  }

  /** One message and its signal. */
  private async round(): Promise<CanaryResult> {
    let user: QueueUser | undefined;
    try {
      user = await this.shared.openUser(this.server, CONNECT_MS);
      const queue = await this.usableQueue(user);
      const isFollowed = await queue?.watch.until(() => queue.watch.status === 'active', FOLLOW_MS);
      if (queue === undefined || !isFollowed) return queue?.watch.isLost ? 'lost' : 'unfollowed';
      return await this.message(queue, user);
    } catch (error) {
      return error instanceof SmpCommandError ? this.refused(error) : 'unreachable';
    } finally {
      user?.close();
    }
  }

  /** The queue that is there, or a new one in place of one that is lost, old or filled. */
  private async usableQueue(user: QueueUser): Promise<CanaryQueue | undefined> {
    const old = this.queue;
    if (old && !this.isWorn(old)) return old;
    this.queue = undefined;
    if (old) await discard(this.shared.source, old, user);
    const { source, sink, metrics, clock } = this.shared;
    const own = await user.createQueue();
    const notifier = await user.enableNotifications(own).catch(() => undefined);
    const followed = notifier && !this.closed && followOwn(source, sink, this.server, own, notifier);
    if (!followed) {
      await user.deleteQueue(own).catch(() => {});
      wipeQueue(own);
      return undefined;
    }
    metrics.canary_queues_total.inc();
    this.queue = { ...followed, madeMs: clock.monotonic(), messages: 0 };
    return this.queue;
  }

  private isWorn({ watch, messages, madeMs }: CanaryQueue): boolean {
    const age = this.shared.clock.monotonic() - madeMs;
    return watch.isLost || messages >= QUEUE_MESSAGES || age >= QUEUE_MS;
  }

  private async message(queue: CanaryQueue, user: QueueUser): Promise<CanaryResult> {
    const { clock, metrics } = this.shared;
    const { watch, own } = queue;
    const before = watch.signals;
    const sentMs = clock.monotonic();
    queue.messages++;
    await user.send(own.senderId, BODY);
    user.close();
    if (await watch.until(() => watch.signals > before, SILENT_MS)) {
      metrics.canary_signal_seconds.observe((clock.monotonic() - sentMs) / 1000);
      this.reconnects.reset();
      this.reconnectAtMs = 0;
      return 'arrived';
    }
    if (watch.isLost) return 'lost';
    if (watch.status === 'active' && !this.closed) this.reconnect(queue);
    return 'silent';
  }

  /** Only this server's connection, and ever more seldom while the silence goes on. */
  private reconnect({ handle }: CanaryQueue): void {
    const { clock, source, metrics } = this.shared;
    if (clock.monotonic() < this.reconnectAtMs) return;
    this.reconnectAtMs = clock.monotonic() + this.reconnects.next();
    metrics.canary_reconnects_total.inc();
    source.reconnect(handle);
  }

  /** A queue that the server does not know, or has full, is made anew. */
  private refused({ error }: SmpCommandError): CanaryResult {
    const isLost = error.kind === 'AUTH' && this.queue !== undefined;
    if (this.queue) this.queue.messages = QUEUE_MESSAGES;
    return isLost ? 'lost' : 'refused';
  }

  private enter(state: CanaryState): void {
    if (this.state === state) return;
    const { log, changed } = this.shared;
    this.state = state;
    const fields = { name: `canary ${this.number}`, reason: state };
    if (state === 'ok') log.info('canary hears its signals', fields);
    else log.warn('canary does not hear its signals', fields);
    changed();
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.shared.clock.after(ms, resolve);
      this.wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
