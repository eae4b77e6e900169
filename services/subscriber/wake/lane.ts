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

export class Lane {
  readonly link: GatewayLink;
  private readonly clock: Clock;
  private readonly resume: (pager: Pager) => void;
  /** In the order of their last wish; at most every device once. */
  private readonly held = new Set<Pager>();
  private backlog: Pager[] = [];
  private timer: Timer | undefined;

  /** `resume` lets a device look again at what it has to send. */
  constructor(link: GatewayLink, clock: Clock, resume: (pager: Pager) => void) {
    this.link = link;
    this.clock = clock;
    this.resume = resume;
    link.onAvailable(() => this.startDraining());
  }

  /** Devices that wait. */
  get waiting(): number {
    return this.held.size;
  }

  /** Whether the device may send now; if not, it is resumed later. */
  admits(pager: Pager): boolean {
    this.held.delete(pager);
    if (this.link.available) return true;
    this.held.add(pager);
    return false;
  }

  /** The device is gone. */
  forget(pager: Pager): void {
    this.held.delete(pager);
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
      if (pager === undefined) return;
      // One that got through on its own account meanwhile costs no share of the pace.
      if (!this.held.delete(pager)) continue;
      left--;
      this.resume(pager);
    }
    if (this.link.available) this.timer = this.clock.after(DRAIN_EVERY_MS, () => this.drain());
  }
}
