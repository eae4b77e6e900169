/**
 * The milestones on a signal's way through the wake engine: how long signals wait to be sealed, and for the few queues
 * that somebody watches over the control socket, each one as it is passed. Keeps numbers of queues, never their
 * names, and nothing at all of what nobody watches but the time of the oldest signal a device waits with.
 */
import type { Clock } from '../../../shared/run/clock.js';
import type { Put } from './mailbox.js';
import type { Pager } from './pager.js';

export type Milestone = 'received' | 'queued' | 'sealed' | 'sent' | 'accepted' | 'stopped';

/** `reason` says where a signal stopped, in a closed word. */
export type Watcher = (milestone: Milestone, reason?: string) => void;

/** Queues watched at once. */
export const MAX_WATCHES = 8;

interface Watch {
  readonly tell: Watcher;
  /** The device whose queue it is, once it had a signal. */
  pager: Pager | undefined;
  /** A signal waits to be told; older ones that ride along as filler pass no milestones again. */
  isWaiting: boolean;
  /** A push that tells it is in flight. */
  isCarried: boolean;
}

export class Milestones {
  private readonly clock: Clock;
  private readonly sealedAfter: (seconds: number) => void;
  /** When the oldest signal that no push has carried yet was received. */
  private readonly waitingSince = new WeakMap<Pager, number>();
  private readonly watches = new Map<number, Watch>();

  /** @param sealedAfter told how long each push's oldest signal has waited */
  constructor(clock: Clock, sealedAfter: (seconds: number) => void) {
    this.clock = clock;
    this.sealedAfter = sealedAfter;
  }

  received(pager: Pager, ref: number, result: Put): void {
    if (!this.waitingSince.has(pager)) this.waitingSince.set(pager, this.clock.monotonic());
    const watch = this.watches.get(ref);
    if (watch === undefined) return;
    watch.pager = pager;
    watch.isWaiting = result !== 'lost';
    watch.isCarried = false; // the push in flight, if any, tells of an earlier signal
    watch.tell('received');
    if (result === 'lost') watch.tell('stopped', 'no-room');
    else watch.tell('queued');
  }

  /** A push with these entries is about to leave. */
  sealed(pager: Pager, entries: readonly { readonly ref: number }[]): void {
    const since = this.waitingSince.get(pager);
    this.waitingSince.delete(pager);
    if (since !== undefined) this.sealedAfter((this.clock.monotonic() - since) / 1000);
    if (this.watches.size === 0) return;
    for (const { ref } of entries) {
      const watch = this.watches.get(ref);
      if (watch?.isWaiting !== true) continue;
      watch.isCarried = true;
      watch.tell('sealed');
    }
  }

  /** The push that was sealed last went to the gateway's link. */
  sent(pager: Pager): void {
    for (const watch of this.watches.values()) {
      if (watch.pager === pager && watch.isCarried) watch.tell('sent');
    }
  }

  /** The gateway answered the push that was sealed last. */
  answered(pager: Pager, outcome: string): void {
    for (const watch of this.watches.values()) {
      if (watch.pager !== pager || !watch.isCarried) continue;
      watch.isCarried = false;
      watch.isWaiting = outcome !== 'accepted';
      if (outcome === 'accepted') watch.tell('accepted');
      else watch.tell('stopped', outcome);
    }
  }

  /** What the device has to be told can't leave now. */
  stopped(pager: Pager, cause: string): void {
    for (const watch of this.watches.values()) {
      if (watch.pager === pager && watch.isWaiting) watch.tell('stopped', cause);
    }
  }

  /** Begins to watch a queue; returns how to end it, or undefined where it is watched already or there is no room. */
  watch(ref: number, tell: Watcher): (() => void) | undefined {
    if (this.watches.has(ref) || this.watches.size >= MAX_WATCHES) return undefined;
    this.watches.set(ref, { tell, pager: undefined, isWaiting: false, isCarried: false });
    return () => this.watches.delete(ref);
  }
}
