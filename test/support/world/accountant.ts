/**
 * Counts what design §7 means by lost: a signal is told when, after the send, the phone got an entry of that queue
 * with this message or a later one, or a check. Told by an older entry that rides along is not enough here.
 */
import { eventuallyLater } from './eventually.js';
import type { LeapClock } from './leap-clock.js';
import type { SeenPush, TestPhone } from './phone.js';

interface Signal {
  readonly phone: TestPhone;
  readonly name: string;
  /** Its number among the queue's messages. */
  readonly index: number;
  checked: boolean;
}

export class Accountant {
  private readonly signals: Signal[] = [];
  /** Queue → ids of its messages in their order, as far as they have been read. */
  private readonly ids = new Map<string, readonly string[]>();
  private readonly phones: readonly TestPhone[];

  constructor(phones: readonly TestPhone[]) {
    this.phones = phones;
    for (const phone of phones) phone.onSeen = (push) => this.saw(phone, push);
  }

  /** Sends a message, and remembers that it has to be told. */
  async send(phone: TestPhone, name: string): Promise<void> {
    await phone.receive(name);
    const index = this.signals.filter((signal) => signal.phone === phone && signal.name === name).length;
    this.signals.push({ phone, name, index, checked: false });
  }

  get sent(): number {
    return this.signals.length;
  }

  /**
   * Waits until everything was told, letting time pass; resolves with what was not. Reads all queues as their
   * owners would, to know which message is which.
   */
  async settle(clock: LeapClock): Promise<string[]> {
    await this.drain();
    const isAllTold = () => this.untold().length === 0;
    await eventuallyLater(clock, 'everything told', isAllTold).catch(() => {});
    return this.untold();
  }

  private async drain(): Promise<void> {
    for (const phone of this.phones) {
      for (const [name, queue] of phone.queues) {
        const key = this.keyOf(phone, name);
        const known = this.ids.get(key) ?? [];
        if (known.length === this.signals.filter((s) => s.phone === phone && s.name === name).length)
          continue;
        this.ids.set(key, [...known, ...(await phone.messenger(queue.server).drain(queue))]);
      }
    }
  }

  private untold(): string[] {
    const latest = this.latestSeen();
    const isTold = ({ phone, name, index, checked }: Signal): boolean =>
      checked || (latest.get(this.keyOf(phone, name)) ?? -1) >= index;
    return this.signals.filter((signal) => !isTold(signal)).map(({ name, index }) => `${name} ${index}`);
  }

  private saw(phone: TestPhone, { result }: SeenPush): void {
    if (result?.kind !== 'check') return;
    for (const signal of this.signals) if (signal.phone === phone) signal.checked = true;
  }

  /** For each queue, the highest number of a message that an entry named. */
  private latestSeen(): Map<string, number> {
    const latest = new Map<string, number>();
    for (const phone of this.phones) {
      for (const { name, messageId } of phone.pushes.flatMap(({ entries }) => entries)) {
        const key = this.keyOf(phone, name);
        const index = this.ids.get(key)?.indexOf(messageId) ?? -1;
        latest.set(key, Math.max(index, latest.get(key) ?? -1));
      }
    }
    return latest;
  }

  private readonly keyOf = (phone: TestPhone, name: string): string =>
    `${this.phones.indexOf(phone)} ${name}`;
}
