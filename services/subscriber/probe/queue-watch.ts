/**
 * Where the source's reports go: those of devices' queues on to the registry, those of the subscriber's own queues
 * to whoever watches them. A queue of our own has a number above all rows of the registry, and is no device's.
 */
import type { Clock } from '../../../shared/run/clock.js';
import type { FollowStatus, SourceSink } from '../sources/source.js';

/** Numbers from here on are no rows of the registry, which has ten million at most. */
export const FIRST_OWN_REF = 2 ** 31;
/** Queues watched at once: one for each canary, and a doctor's. */
export const MAX_WATCHES = 33;

/** What has been heard of one queue. */
export class QueueWatch {
  readonly ref: number;
  status: FollowStatus['kind'] = 'pending';
  /** Signals so far. */
  signals = 0;
  private readonly clock: Clock;
  private readonly onEnd: () => void;
  private readonly waiting = new Set<() => void>();
  private ended = false;

  constructor(clock: Clock, ref: number, onEnd: () => void) {
    this.clock = clock;
    this.ref = ref;
    this.onEnd = onEnd;
  }

  /** Whether the server, or another subscriber, ended it: it will bring no more signals. */
  get isLost(): boolean {
    return !['pending', 'inactive', 'active'].includes(this.status);
  }

  /** Waits until the condition holds, `ms` milliseconds at most; whether it does. */
  until(holds: () => boolean, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const look = (late = false): void => {
        const done = holds();
        if (!done && !late && !this.ended) return;
        timer.cancel();
        this.waiting.delete(look);
        resolve(done);
      };
      const timer = this.clock.after(ms, () => look(true));
      this.waiting.add(look);
      look();
    });
  }

  /** Nobody watches any more; ends all waiting. */
  end(): void {
    this.ended = true;
    this.onEnd();
    this.wake();
  }

  /** Something happened: who waits looks again. */
  wake(): void {
    for (const look of [...this.waiting]) look();
  }
}

export class WatchedSink implements SourceSink {
  private readonly registry: SourceSink;
  private readonly clock: Clock;
  private readonly watches = new Map<number, QueueWatch>();
  private next = 0;

  constructor(registry: SourceSink, clock: Clock) {
    this.registry = registry;
    this.clock = clock;
  }

  /** Watches a queue of the registry, or one of our own that is about to be followed; undefined when there is no room. */
  watch(ref: number = this.ownRef()): QueueWatch | undefined {
    if (this.watches.size >= MAX_WATCHES || this.watches.has(ref)) return undefined;
    const watch = new QueueWatch(this.clock, ref, () => this.watches.delete(ref));
    this.watches.set(ref, watch);
    return watch;
  }

  status(ref: number, status: FollowStatus): void {
    if (ref < FIRST_OWN_REF) this.registry.status(ref, status);
    const watch = this.watches.get(ref);
    if (watch === undefined) return;
    watch.status = status.kind;
    watch.wake();
  }

  signal(ref: number, nonce: Uint8Array, metadata: Uint8Array): void {
    if (ref < FIRST_OWN_REF) this.registry.signal(ref, nonce, metadata);
    const watch = this.watches.get(ref);
    if (watch === undefined) return;
    watch.signals++;
    watch.wake();
  }

  /** A queue of our own misses nothing that its next message doesn't show. */
  maybeMissed(ref: number): void {
    if (ref < FIRST_OWN_REF) this.registry.maybeMissed(ref);
  }

  private ownRef(): number {
    do this.next = (this.next + 1) % FIRST_OWN_REF;
    while (this.watches.has(FIRST_OWN_REF + this.next));
    return FIRST_OWN_REF + this.next;
  }
}
