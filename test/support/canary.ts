/** A canary on a virtual clock, its messaging server in a few variables. */
import { Canary, type CanaryShared } from '../../services/subscriber/probe/canary.js';
import { probeMetrics } from '../../services/subscriber/probe/metrics.js';
import type { QueueUser } from '../../services/subscriber/probe/own-queue.js';
import { WatchedSink } from '../../services/subscriber/probe/queue-watch.js';
import { type OwnQueue, SmpClosedError, SmpCommandError } from '../../services/subscriber/probe/smp-user.js';
import type { FollowStatus } from '../../services/subscriber/sources/source.js';
import { sleep, VirtualClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import type { ErrorType } from '../../shared/smp/errors.js';
import { countedMetrics } from './metrics.js';
import { RecordingSink } from './smp-source.js';

export const INTERVAL_MS = 5 * 60_000;
/** From a message to its signal. */
export const DELIVERY_MS = 1_000;
const KEY_HASH = new Uint8Array(32);
export const SERVER = { hosts: ['smp.example'], port: '', keyHash: KEY_HASH };

const key = () => ({ algorithm: 'ed25519', raw: new Uint8Array(32).fill(1) }) as const;
const id = (n: number): Uint8Array => new Uint8Array(24).fill(n);

export class CanaryRig {
  readonly clock = new VirtualClock();
  readonly metrics = countedMetrics(probeMetrics);
  /** What the registry hears: nothing, for a canary's queue is no device's. */
  readonly registry = new RecordingSink();
  readonly canary: Canary;
  /** Whether the server can be reached, tells of messages, and what it answers to SEND. */
  reachable = true;
  tells = true;
  confirms = true;
  error: ErrorType | undefined;
  /** Set to let DEL wait for ever. */
  keeps = false;
  reconnects = 0;
  /** Queues at the server, by number. */
  readonly queues = new Set<number>();
  sent = 0;
  openUsers = 0;
  private readonly sink = new WatchedSink(this.registry, this.clock);
  /** Ref of each queue that is followed, by number. */
  private readonly followed = new Map<number, number>();
  private made = 0;

  constructor() {
    const shared: CanaryShared = {
      clock: this.clock,
      log: silentLog,
      metrics: this.metrics.handles,
      random: () => 0.5,
      sink: this.sink,
      intervalMs: INTERVAL_MS,
      changed: () => {},
      openUser: () => this.open(),
      source: {
        follow: ({ notifierId }, _key, ref) => this.follow(notifierId[0]!, ref),
        unfollow: (handle) => void this.followed.delete(handle),
        reconnect: () => void this.reconnects++,
      },
    };
    this.canary = new Canary(SERVER, 1, shared);
  }

  get following(): number {
    return this.followed.size;
  }

  /** The source reports a status of the queue that is followed. */
  report(kind: Exclude<FollowStatus['kind'], 'error'>): void {
    for (const ref of this.followed.values()) this.sink.status(ref, { kind });
  }

  /** A signal that was late, or of nobody's message. */
  signal(): void {
    for (const ref of this.followed.values()) this.sink.signal(ref, id(0), id(0));
  }

  private follow(number: number, ref: number): { handle: number } {
    this.followed.set(number, ref);
    if (this.confirms) void this.clock.after(1, () => this.report('active'));
    return { handle: number };
  }

  private async open(): Promise<QueueUser> {
    if (!this.reachable) throw new SmpClosedError();
    this.openUsers++;
    let open = true;
    let cut: (error: Error) => void = () => {};
    return {
      createQueue: async () => this.create(),
      enableNotifications: async ({ recipientId }: OwnQueue) => ({
        id: id(recipientId[0]!),
        key: key(),
        secret: id(0),
      }),
      send: (senderId) => this.send(senderId[0]!),
      deleteQueue: ({ recipientId }) => {
        if (!this.keeps) this.queues.delete(recipientId[0]!);
        if (!this.keeps) return Promise.resolve();
        return new Promise((_, reject) => {
          cut = reject;
        });
      },
      close: () => {
        cut(new SmpClosedError());
        if (open) this.openUsers--;
        open = false;
      },
    };
  }

  private create(): OwnQueue {
    this.queues.add(++this.made);
    return { recipientId: id(this.made), senderId: id(this.made), key: key(), secret: id(0) };
  }

  private async send(number: number): Promise<void> {
    if (this.error) throw new SmpCommandError(this.error);
    if (!this.queues.has(number)) throw new SmpCommandError({ kind: 'AUTH' });
    this.sent++;
    if (!this.tells) return;
    void sleep(this.clock, DELIVERY_MS).then(() => this.signal());
  }
}
