/**
 * The gate of several gateways: what a device may get, and who has a frame, is asked of Redis, for all frames of one
 * turn of the event loop together. While Redis is not there, each gateway counts its share in memory and no frame
 * waits. Redis holds hashes, times and outcomes; never a token, a capability or a key.
 */
import { FRAME_KINDS, type Outcome } from '../../../shared/relay/batch.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { OpenCapability } from '../capabilities/capability.js';
import type { AskedFrame, FrameGate, GateAnswer } from '../limits/frame-gate.js';
import { later } from '../push/outcomes.js';
import { callsOf, type Entry } from './calls.js';
import type { RedisClient } from './client.js';
import { DAY_MS, type DayKeys } from './day-keys.js';
import type { RedisLink } from './link.js';
import type { redisMetrics } from './metrics.js';
import { decodeRecord, encodeRecord } from './record.js';
import { IS_RUNNING, KNOWN, RECORD, RUNNING } from './script.js';
import { SeenToday } from './seen.js';
import type { FrameKeys, Tickets } from './ticket.js';

/** Ids are kept this long once their frame has ended (relay.md §6). */
const KEPT_MS = 600_000;
/** A frame whose gateway has died is free for another after this; who still runs it says so more often. */
const LEASE_MS = 5_000;
const RENEW_MS = 1_500;
/** How often, and how long, a frame is waited for that runs elsewhere: less than subscribers wait for an answer. */
const POLL_MS = 150;
const WAIT_MS = 20_000;
const MAX_WAITING = 1_000;
const WAITED = later('load', 60);

export interface RedisGateOptions {
  readonly clock: Clock;
  readonly metrics: MetricHandles<typeof redisMetrics>;
  readonly link: RedisLink;
  readonly keys: DayKeys;
  readonly tickets: Tickets;
  /** Counts this gateway's share while Redis is not there. */
  readonly alone: FrameGate;
  /** Proven devices that are remembered as seen today. */
  readonly devices: number;
}

/** A frame on its way through the gate. */
interface Passing {
  readonly asked: AskedFrame;
  readonly answer: (answer: GateAnswer) => void;
  /** When it first came, monotonic ms. */
  readonly since: number;
  readonly day: number;
  readonly keys: FrameKeys;
  /** Keys of the day before, where they must be looked at. */
  readonly before: FrameKeys | undefined;
}

export class RedisGate implements FrameGate {
  private readonly options: RedisGateOptions;
  private readonly seen: SeenToday;
  /** Proven devices and kinds whose counts were taken over from yesterday. */
  private readonly takenOver: SeenToday;
  private passing: Passing[] = [];
  private notes: Entry[] = [];
  private scheduled = false;
  private stopped = false;
  /** Frames of this gateway that Apple has not answered: id → its hash tag. */
  private readonly running = new Map<string, string>();
  private readonly waiting = new Map<Passing, Timer>();
  private renewing: Timer | undefined;

  constructor(options: RedisGateOptions) {
    this.options = options;
    this.seen = new SeenToday(options.devices);
    this.takenOver = new SeenToday(options.devices * FRAME_KINDS.length);
  }

  /** Proven devices seen today. */
  get devices(): number {
    return this.seen.size;
  }

  pass(asked: AskedFrame, answer: (answer: GateAnswer) => void): void {
    this.ask(asked, answer, this.options.clock.monotonic());
  }

  /** What Redis has of it is over by itself. */
  forget(open: OpenCapability): void {
    this.options.alone.forget(open);
  }

  /** Answers all that wait for other gateways; from now on nothing waits for them. */
  stop(): void {
    this.stopped = true;
    for (const [frame, timer] of this.waiting) {
      timer.cancel();
      frame.answer(WAITED);
    }
    this.waiting.clear();
  }

  /** Tells Redis what is known. */
  async close(): Promise<void> {
    this.stop();
    this.renewing?.cancel();
    await this.flush();
  }

  private ask(asked: AskedFrame, answer: (answer: GateAnswer) => void, since: number): void {
    const { link, keys, tickets } = this.options;
    if (!link.isUp) {
      this.alone(asked, answer);
      return;
    }
    const day = Math.floor(link.now / DAY_MS);
    const today = tickets.keys(asked, keys.of(day));
    // Yesterday's ids are asked for while they live, its counts until they are taken over.
    const isEarly = link.now - day * DAY_MS < KEPT_MS;
    const isKnown = this.takenOver.has(today.row + asked.kind, day) && !isEarly;
    const before = isKnown ? undefined : tickets.keys(asked, keys.of(day - 1));
    this.passing.push({ asked, answer, since, day, keys: today, before });
    this.schedule();
  }

  private alone(asked: AskedFrame, answer: (answer: GateAnswer) => void): void {
    this.options.metrics.shared_limits_frames_total.inc({ judged: 'alone' });
    this.options.alone.pass(asked, answer);
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => void this.flush());
  }

  /** Asks for all that came since the last time. */
  private async flush(): Promise<void> {
    this.scheduled = false;
    const { passing, notes } = this;
    this.passing = [];
    this.notes = [];
    if (passing.length + notes.length === 0) return;
    const least = await this.look(passing);
    const answers = least && (await this.run(passing, least, notes));
    passing.forEach((frame, i) => {
      if (answers === undefined) this.alone(frame.asked, frame.answer);
      else this.judge(frame, answers[i]!);
    });
  }

  /** What yesterday left of each frame's id and buckets; undefined where Redis did not say. */
  private async look(passing: readonly Passing[]): Promise<(readonly (string | null)[])[] | undefined> {
    const wanted = passing.filter(({ before }) => before !== undefined);
    if (wanted.length === 0) return passing.map(() => []);
    const lists = wanted.map(({ before }) => [before!.id, ...before!.buckets]);
    const found = await this.options.link.ask('look', (client) => readAll(client, lists));
    if (found === undefined) return undefined;
    let at = 0;
    return passing.map(({ before }) => (before === undefined ? [] : found[at++]!));
  }

  /** Answers in the order of the frames; undefined where Redis did not give them all. */
  private async run(
    passing: readonly Passing[],
    least: readonly (readonly (string | null)[])[],
    notes: readonly Entry[],
  ): Promise<string[] | undefined> {
    const { link, tickets } = this.options;
    const answers: string[] = [];
    const entries: Entry[] = [...notes];
    passing.forEach(({ asked, keys }, i) => {
      const [id, ...times] = least[i]!;
      // Another gateway had it before midnight.
      if (typeof id === 'string') answers[i] = KNOWN + id;
      else {
        const args = tickets.args(asked, times);
        entries.push({
          tag: keys.tag,
          keys: [keys.id, ...keys.buckets],
          args,
          answer: (text) => (answers[i] = text),
        });
      }
    });
    const now = await link.ask('pass', (client) => runAll(client, entries));
    if (now === undefined) return undefined;
    if (now > 0) link.heard(now);
    return answers;
  }

  private judge(frame: Passing, text: string): void {
    const { asked, answer, keys, before, day, since } = frame;
    const { metrics, clock } = this.options;
    if (text === KNOWN + IS_RUNNING) {
      this.wait(frame);
      return;
    }
    metrics.shared_limits_frames_total.inc({ judged: 'together' });
    // Nothing is remembered of strangers' devices: made-up tokens would leave no room for proven ones.
    const { proven } = asked.open;
    if (proven && this.seen.add(keys.row, day)) asked.onNew();
    if (text === '') {
      // Only then the script has written what it counted, with what yesterday left.
      if (proven && before !== undefined) this.takenOver.add(keys.row + asked.kind, day);
      answer(this.granted(keys));
      return;
    }
    const isKnown = text.startsWith(KNOWN);
    if (isKnown)
      metrics.shared_limits_repeats_total.inc({
        result: clock.monotonic() - since < POLL_MS ? 'done' : 'waited',
      });
    answer(decodeRecord(isKnown ? text.slice(KNOWN.length) : text) ?? WAITED);
  }

  /** It may go: others are told that it runs, and how it ended. */
  private granted({ id, tag }: FrameKeys): (outcome: Outcome) => void {
    this.running.set(id, tag);
    this.renewing ??= this.options.clock.after(RENEW_MS, () => this.renew());
    return (outcome) => {
      this.running.delete(id);
      this.note({ tag, keys: [id], args: [RECORD, encodeRecord(outcome)] });
    };
  }

  private renew(): void {
    for (const [id, tag] of this.running) this.note({ tag, keys: [id], args: [RUNNING] });
    this.renewing =
      this.running.size === 0 ? undefined : this.options.clock.after(RENEW_MS, () => this.renew());
  }

  /** While Redis is away there is nobody to tell: a frame that is sent again can cost one repeated push. */
  private note(entry: Entry): void {
    if (!this.options.link.isUp) return;
    this.notes.push(entry);
    this.schedule();
  }

  /** Another gateway runs it: asks again until it has ended or that gateway is given up. */
  private wait(frame: Passing): void {
    const { clock, metrics } = this.options;
    const { asked, answer, since } = frame;
    const isTooLate = this.stopped || clock.monotonic() - since >= WAIT_MS;
    if (isTooLate || this.waiting.size >= MAX_WAITING) {
      metrics.shared_limits_repeats_total.inc({ result: 'gave-up' });
      answer(WAITED);
      return;
    }
    const again = (): void => {
      this.waiting.delete(frame);
      this.ask(asked, answer, since);
    };
    this.waiting.set(frame, clock.after(POLL_MS, again));
  }
}

const HEAD = [LEASE_MS, KEPT_MS] as const;

/** Runs the script for all entries. The time in ms by Redis' clock; 0 where there was nothing to ask. */
async function runAll(client: RedisClient, entries: readonly Entry[]): Promise<number> {
  const runs = callsOf(entries, client.isCluster).map(async (call) => {
    const keys = call.flatMap((entry) => entry.keys);
    const [now, ...answers] = await client.run(keys, [...HEAD, ...call.flatMap((entry) => entry.args)]);
    const asking = call.flatMap(({ answer }) => answer ?? []);
    if (answers.length !== asking.length) throw new Error('not what the script answers');
    asking.forEach((answer, i) => {
      answer(answers[i]!);
    });
    return Number(now);
  });
  return Math.max(0, ...(await Promise.all(runs)));
}

/** Values of each list's keys. */
async function readAll(
  client: RedisClient,
  lists: readonly (readonly string[])[],
): Promise<(readonly (string | null)[])[]> {
  if (client.isCluster) return Promise.all(lists.map((keys) => client.read(keys)));
  const values = await client.read(lists.flat());
  let at = 0;
  return lists.map(({ length }) => {
    at += length;
    return values.slice(at - length, at);
  });
}
