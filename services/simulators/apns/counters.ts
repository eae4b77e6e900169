/** What the simulator counted: answers by status and reason, and what happened to connections. */

const EVENTS = ['connections', 'refused', 'goaway', 'settings', 'fault'] as const;
type Event = (typeof EVENTS)[number];

export type CounterValues = Readonly<Record<Event, number>> & {
  /** `200`, `400 BadDeviceToken`, … */
  readonly answers: Readonly<Record<string, number>>;
};

export class Counters {
  private readonly events: Record<Event, number> = {
    connections: 0,
    refused: 0,
    goaway: 0,
    settings: 0,
    fault: 0,
  };
  /** Bounded by Apple's reasons and those of the fault rules. */
  private readonly answers = new Map<string, number>();

  add(event: Event): void {
    this.events[event]++;
  }

  answered(status: number, reason: string | undefined): void {
    const name = reason === undefined ? `${status}` : `${status} ${reason}`;
    this.answers.set(name, (this.answers.get(name) ?? 0) + 1);
  }

  values(): CounterValues {
    return { ...this.events, answers: Object.fromEntries(this.answers) };
  }
}
