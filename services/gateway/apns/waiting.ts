/** The pushes of a pool that wait for a stream: those to be sent again go before new ones. */
import { Fifo } from './fifo.js';
import type { Job } from './job.js';
import type { Meter } from './meter.js';

export class Waiting {
  private readonly again = new Fifo<Job>();
  private readonly fresh = new Fifo<Job>();
  private readonly meter: Meter;

  constructor(meter: Meter) {
    this.meter = meter;
  }

  get size(): number {
    return this.again.length + this.fresh.length;
  }

  add(job: Job): void {
    this.fresh.push(job);
    this.meter.waiting(1);
  }

  addAgain(job: Job): void {
    this.again.push(job);
    this.meter.waiting(1);
  }

  /** Offers each push in turn, until one is not taken. What was finished meanwhile is dropped. */
  offer(take: (job: Job) => boolean): void {
    for (const queue of [this.again, this.fresh]) {
      for (let job = queue.peek(); job !== undefined; job = queue.peek()) {
        if (!job.isDone && !take(job)) return;
        queue.shift();
        this.meter.waiting(-1);
      }
    }
  }

  /** Drops what is finished out of turn, tokens and bodies with it. */
  forget(): void {
    const before = this.size;
    this.again.sift((job) => !job.isDone);
    this.fresh.sift((job) => !job.isDone);
    this.meter.waiting(this.size - before);
  }
}
