/**
 * Keeps account of signals by the definition of design §7: a signal is told when, after its message was sent, the
 * phone got an entry of that queue or a check. Stricter in one thing: the entry must name that message or a later
 * one of the queue, since older entries ride along as filler. Pure.
 */

interface Signal {
  readonly phone: string;
  readonly queue: string;
  readonly number: number;
  isChecked: boolean;
}

export interface Account {
  readonly sent: number;
  readonly byEntry: number;
  readonly byCheck: number;
}

/** A queue's messages in the order in which its owner read them. */
interface Reading {
  /** Message id → place in the queue. */
  readonly places: Map<string, number>;
  /** Our number of a message → place in the queue. */
  readonly numbers: Map<number, number>;
}

export class Accountant {
  private signals: Signal[] = [];
  private readings = new Map<string, Reading>();
  /** Ids of messages that entries named, by queue. */
  private seen = new Map<string, Set<string>>();
  private closed: Account = { sent: 0, byEntry: 0, byCheck: 0 };

  /** The messaging server has taken message `number` of this queue. */
  sent(phone: string, queue: string, number: number): void {
    this.signals.push({ phone, queue, number, isChecked: false });
  }

  /** Whether the queue has messages that its owner has not read. */
  hasUnread(queue: string): boolean {
    const numbers = this.readings.get(queue)?.numbers;
    return this.signals.some((signal) => signal.queue === queue && !numbers?.has(signal.number));
  }

  /** The phone got a check, which makes it look everywhere. */
  sawCheck(phone: string): void {
    for (const signal of this.signals) if (signal.phone === phone) signal.isChecked = true;
  }

  /** The phone got an entry that names this message. */
  sawEntry(queue: string, messageId: string): void {
    const ids = this.seen.get(queue) ?? new Set();
    this.seen.set(queue, ids.add(messageId));
  }

  /** The queue's owner read the next of its messages. */
  read(queue: string, messageId: string, number: number): void {
    const reading = this.readings.get(queue) ?? { places: new Map(), numbers: new Map() };
    this.readings.set(queue, reading);
    const place = reading.places.size;
    reading.places.set(messageId, place);
    // A sender without an answer sends again: the first of the two is the one that must be told.
    if (!reading.numbers.has(number)) reading.numbers.set(number, place);
  }

  /** What no phone was told of, as `queue #number`. */
  untold(): string[] {
    const last = this.lastPlaces();
    return this.signals
      .filter((signal) => !signal.isChecked && !this.isEntered(signal, last))
      .map(({ queue, number }) => `${queue} #${number}`);
  }

  /** Ends a round: everything in it counts, and is forgotten. */
  close(): void {
    this.closed = this.total();
    this.signals = [];
    this.readings = new Map();
    this.seen = new Map();
  }

  total(): Account {
    const last = this.lastPlaces();
    const entered = this.signals.filter((signal) => this.isEntered(signal, last));
    const checked = this.signals.filter((signal) => signal.isChecked && !this.isEntered(signal, last));
    return {
      sent: this.closed.sent + this.signals.length,
      byEntry: this.closed.byEntry + entered.length,
      byCheck: this.closed.byCheck + checked.length,
    };
  }

  private isEntered({ queue, number }: Signal, last: ReadonlyMap<string, number>): boolean {
    const place = this.readings.get(queue)?.numbers.get(number);
    return place !== undefined && (last.get(queue) ?? -1) >= place;
  }

  /** By queue, the place of the latest message that an entry named. */
  private lastPlaces(): Map<string, number> {
    const last = new Map<string, number>();
    for (const [queue, ids] of this.seen) {
      const places = this.readings.get(queue)?.places;
      for (const id of ids) last.set(queue, Math.max(last.get(queue) ?? -1, places?.get(id) ?? -1));
    }
    return last;
  }
}
