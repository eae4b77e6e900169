/**
 * What the metrics were: a moment every 15 seconds for half an hour, one an hour for two days, in memory only. Both
 * rings are bounded; together they hold a few hundred kilobytes.
 */
import type { Clock, Timer } from '../clock.js';
import type { Sample } from '../metrics.js';
import { Ring } from './ring.js';
import { type Moment, SeriesIndex } from './series.js';

export const SAMPLE_MS = 15_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
/** Half an hour, and the minute that has begun before it. */
const FINE_MOMENTS = 126;
/** Two days, and the hour's start before them. */
const HOURLY_MOMENTS = 50;
/** A moment this young serves for "now": a page that many look at costs no more than one look a second. */
const FRESH_MS = 1_000;

export interface HistoryOptions {
  readonly clock: Clock;
  readonly read: () => Promise<readonly Sample[]>;
}

/** What a page is made from. */
export interface Past {
  readonly index: SeriesIndex;
  readonly start: Moment;
  readonly now: Moment;
  /** Oldest first. */
  readonly fine: readonly Moment[];
  /** At whole hours after the start, oldest first. */
  readonly hourly: readonly Moment[];
}

export class History {
  private readonly options: HistoryOptions;
  private readonly index = new SeriesIndex();
  private readonly fine = new Ring<Moment>(FINE_MOMENTS);
  private readonly hourly = new Ring<Moment>(HOURLY_MOMENTS);
  private readonly start: Promise<Moment>;
  private latest: Promise<Moment>;
  private latestAt: number;
  private hours = 0;
  private timer: Timer | undefined;
  private closed = false;

  /** Takes the first moment at once. */
  constructor(options: HistoryOptions) {
    this.options = options;
    this.latestAt = options.clock.monotonic();
    this.start = this.take();
    this.latest = this.start;
    void this.start.then((first) => {
      this.fine.push(first);
      this.hourly.push(first);
      this.next();
    });
  }

  /** As of a second ago at most. */
  async past(): Promise<Past> {
    const now = this.options.clock.monotonic();
    if (now - this.latestAt >= FRESH_MS) {
      this.latestAt = now;
      this.latest = this.take();
    }
    const [start, latest] = await Promise.all([this.start, this.latest]);
    return {
      index: this.index,
      start,
      now: latest,
      fine: this.fine.all(),
      hourly: this.hourly.all(),
    };
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private async take(): Promise<Moment> {
    const { clock, read } = this.options;
    const [at, wall] = [Math.round(clock.monotonic()), clock.now()];
    return this.index.record(await read(), at, wall);
  }

  private next(): void {
    if (this.closed) return;
    this.timer = this.options.clock.after(SAMPLE_MS, () => void this.sample());
  }

  private async sample(): Promise<void> {
    const moment = await this.take();
    this.fine.push(moment);
    const { at } = await this.start;
    const hours = Math.floor((moment.at - at) / HOUR_MS);
    // Dated to the hour itself, which was at most a sample's time ago (or longer, on a machine that slept).
    if (hours > this.hours) {
      const since = moment.at - at - hours * HOUR_MS;
      this.hourly.push({ ...moment, at: moment.at - since, wall: moment.wall - since });
    }
    this.hours = hours;
    this.next();
  }
}
