/**
 * The way to one gateway, shared by its devices: while the gateway can't be used they wait here, and once it can
 * they go on at a pace, newest first (relay.md §6). The back-off itself is the link's: one a gateway.
 */
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { GatewayLink } from '../outbound/gateway-link.js';
import type { Pager } from './pager.js';

/** 2,000 devices a second. */
const DRAIN_BATCH = 100;
const DRAIN_EVERY_MS = 50;

export interface LaneEvents {
  /** The device may look again at what it has to send. */
  readonly resume: (pager: Pager) => void;
  /** Other devices wait than before. */
  readonly waitingChanged: () => void;
}

export class Lane {
  readonly link: GatewayLink;
  private readonly clock: Clock;
  private readonly events: LaneEvents;
  /** In the order of their last wish; at most every device once. */
  private readonly held = new Set<Pager>();
  private backlog: Pager[] = [];
  private timer: Timer | undefined;

  constructor(link: GatewayLink, clock: Clock, events: LaneEvents) {
    this.link = link;
    this.clock = clock;
    this.events = events;
    link.onAvailable(() => this.startDraining());
  }

  /** Devices that wait. */
  get waiting(): number {
    return this.held.size;
  }

  /** Whether the device may send now; if not, it is resumed later. */
  admits(pager: Pager): boolean {
    const before = this.held.size;
    this.held.delete(pager);
    if (!this.link.available) this.held.add(pager);
    if (this.held.size !== before) this.events.waitingChanged();
    return this.link.available;
  }

  /** Lets the device look at what it has to send at the pace of those that waited. */
  enqueue(pager: Pager): void {
    this.held.add(pager);
  }

  /** All were enqueued. */
  begin(): void {
    this.events.waitingChanged();
    if (this.link.available) this.startDraining();
  }

  /** The device is gone. */
  forget(pager: Pager): void {
    if (this.held.delete(pager)) this.events.waitingChanged();
  }

  close(): void {
    this.timer?.cancel();
    this.held.clear();
    this.backlog = [];
  }

  private startDraining(): void {
    this.backlog = [...this.held];
    this.timer ??= this.clock.after(0, () => this.drain());
  }

  private drain(): void {
    this.timer = undefined;
    for (let left = DRAIN_BATCH; left > 0 && this.link.available; ) {
      const pager = this.backlog.pop();
      if (pager === undefined) break;
      // One that got through on its own account meanwhile costs no share of the pace.
      if (!this.held.delete(pager)) continue;
      left--;
      this.events.resume(pager);
    }
    this.events.waitingChanged();
    if (this.link.available && this.backlog.length > 0) {
      this.timer = this.clock.after(DRAIN_EVERY_MS, () => this.drain());
    }
  }
}
