/** When each message passed each hop, put together from what the parties say of themselves. */

import { systemClock } from '../../shared/run/clock.js';

/** In the order a wake-up travels. */
export const HOPS = {
  accepted: 'friend → messaging server      message accepted',
  received: 'messaging server → subscriber  NMSG: something waits in a queue',
  sealed: 'subscriber: sealed for the phone',
  forwarded: 'subscriber → gateway           one frame, 3,232 bytes',
  pushed: 'gateway → Apple                one push',
  delivered: 'Apple → phone                  push delivered',
  opened: 'phone: fetched and opened',
} as const;
export type Hop = keyof typeof HOPS;

interface Passage {
  readonly hop: Hop;
  /** Unix milliseconds. */
  readonly at: number;
}

export class Journey {
  private readonly passages: Passage[] = [];

  note(hop: Hop, at = systemClock.now()): void {
    this.passages.push({ hop, at });
  }

  /**
   * The hops of a message sent at `from` and opened at `to`: of each the last that happened in between, since a
   * message may ride with an earlier wake-up or need a repeated one.
   */
  between(from: number, to: number): Passage[] {
    const found: Passage[] = [];
    for (const hop of Object.keys(HOPS) as Hop[]) {
      const passage = this.passages.findLast((p) => p.hop === hop && p.at >= from && p.at <= to);
      if (passage) found.push(passage);
    }
    return found.sort((a, b) => a.at - b.at);
  }
}
