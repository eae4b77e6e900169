/**
 * Adaptive batches (relay.md §6): which frames leave together, when, and what becomes of frames without an answer.
 * An idle line sends a frame at once; while requests are in flight, frames gather and leave together. Knows nothing
 * of HTTP. Never loses a frame: each one ends in an outcome, and one that got no answer is sent again under its id.
 */
import {
  CAPABILITY_SIZE,
  FRAME_ID_SIZE,
  type Frame,
  MAX_FRAMES,
  NONCE_SIZE,
  type Outcome,
  PAYLOAD_SIZE,
} from '../../../shared/relay/batch.js';
import type { ProblemCode } from '../../../shared/relay/problem.js';
import { Backoff } from '../../../shared/run/backoff.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { linkMetrics } from './metrics.js';

/** How a push request ended, apart from the answers that came in before. */
export type RequestResult =
  /** The answer ended as it should; frames that it left out are sent again. */
  | { readonly kind: 'done' }
  /** Reset, time-out, an answer that is none. */
  | { readonly kind: 'no-answer' }
  /** Whole request 429; seconds to wait. */
  | { readonly kind: 'later'; readonly after: number }
  /** Whole request 503. */
  | { readonly kind: 'unavailable' }
  /** The gateway doesn't accept this subscriber or these bytes: nothing will pass until somebody acts. */
  | { readonly kind: 'refused'; readonly code: ProblemCode };

/** Sends one batch and reports each frame's outcome by its index as soon as it is there. Never rejects. */
export type SendBatch = (
  frames: readonly Frame[],
  answer: (index: number, outcome: Outcome) => void,
) => Promise<RequestResult>;

export interface BatcherOptions {
  readonly send: SendBatch;
  readonly clock: Clock;
  readonly metrics: MetricHandles<typeof linkMetrics>;
  readonly random: () => number;
  /** The gateway takes nothing: called at most once until `resume`. */
  readonly onDown: () => void;
  readonly limits?: Partial<BatcherLimits>;
}

export interface BatcherLimits {
  /** Frames that wait at most; more are answered `later`, reason `load`. Frames to repeat come on top. */
  readonly waiting: number;
  /** Requests in flight at which further frames wait and gather. */
  readonly busy: number;
  /** Requests in flight at most, with those that have become stragglers. */
  readonly open: number;
  /** A request older than this is a straggler: one slow frame in it doesn't hold up those that wait. */
  readonly stragglerMs: number;
  /** Times that a frame is sent before it counts as `unavailable`. */
  readonly attempts: number;
  readonly repeatMinMs: number;
  readonly repeatMaxMs: number;
}

const DEFAULTS: BatcherLimits = {
  waiting: 16_384,
  busy: 4,
  open: 16,
  stragglerMs: 250,
  attempts: 5,
  repeatMinMs: 100,
  repeatMaxMs: 2_000,
};

/** Queue full: the wake engine keeps the mailbox and comes back after this many seconds (shortest step of §6). */
const LOAD_AFTER = 60;

interface Entry {
  readonly frame: Frame;
  readonly resolve: (outcome: Outcome) => void;
  /** When it was handed over. */
  readonly since: number;
  attempts: number;
}

export class Batcher {
  private readonly options: BatcherOptions;
  private readonly limits: BatcherLimits;
  private readonly repeats: Backoff;
  private readonly waiting: Entry[] = [];
  private open = 0;
  private busy = 0;
  private running = false;
  private scheduled = false;
  private pause: Timer | undefined;

  constructor(options: BatcherOptions) {
    this.options = options;
    this.limits = { ...DEFAULTS, ...options.limits };
    this.repeats = new Backoff({
      minMs: this.limits.repeatMinMs,
      maxMs: this.limits.repeatMaxMs,
      random: options.random,
    });
  }

  /** Takes a frame, whose arrays must stay as they are until its outcome is there. Never rejects. */
  push(frame: Frame): Promise<Outcome> {
    if (!isWellFormed(frame)) return Promise.resolve(this.count(malformed));
    if (!this.running) return Promise.resolve(this.count(unavailable));
    if (this.waiting.length >= this.limits.waiting) return Promise.resolve(this.count(load));
    return new Promise((resolve) => {
      this.waiting.push({ frame, resolve, since: this.options.clock.monotonic(), attempts: 0 });
      this.schedule();
    });
  }

  /** The gateway takes pushes (again). */
  resume(): void {
    this.running = true;
    this.repeats.reset();
  }

  /** Nothing is sent until `resume`; all that waits, and all pushed meanwhile, ends as `unavailable`. */
  suspend(): void {
    if (!this.running) return;
    this.running = false;
    this.pause?.cancel();
    this.pause = undefined;
    for (const entry of this.waiting.splice(0)) this.settle(entry, unavailable);
    this.options.metrics.link_waiting_frames.set(0);
  }

  /** Frames that arrive in one turn of the event loop leave together. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  private flush(): void {
    const { busy, open } = this.limits;
    while (this.waiting.length > 0 && !this.pause && this.busy < busy && this.open < open) {
      void this.send(this.waiting.splice(0, MAX_FRAMES));
    }
    this.options.metrics.link_waiting_frames.set(this.waiting.length);
  }

  private async send(entries: Entry[]): Promise<void> {
    const lane = this.enter();
    const left: (Entry | undefined)[] = entries;
    this.options.metrics.link_batch_frames.observe(entries.length);
    const frames = entries.map((entry) => entry.frame);
    const result = await this.options.send(frames, (index, outcome) => {
      const entry = left[index];
      left[index] = undefined;
      if (entry) this.answered(entry, outcome);
    });
    lane.leave();
    this.options.metrics.link_requests_total.inc({ result: result.kind });
    this.finish(
      left.filter((entry) => entry !== undefined),
      result,
    );
    this.flush();
  }

  /** One more request in flight; as a straggler it no longer counts as busy. */
  private enter(): { leave: () => void } {
    let busy = true;
    const idle = (): void => {
      if (busy) this.busy--;
      busy = false;
    };
    this.open++;
    this.busy++;
    const straggler = this.options.clock.after(this.limits.stragglerMs, () => {
      idle();
      this.flush();
    });
    const leave = (): void => {
      straggler.cancel();
      idle();
      this.open--;
      this.options.metrics.link_open_requests.set(this.open);
    };
    this.options.metrics.link_open_requests.set(this.open);
    return { leave };
  }

  private answered(entry: Entry, outcome: Outcome): void {
    // Down before the promise settles: whoever sees `unavailable` finds the link unavailable too.
    if (outcome.kind === 'unavailable') this.down();
    else this.repeats.reset();
    this.settle(entry, outcome);
  }

  private finish(left: readonly Entry[], result: RequestResult): void {
    if (result.kind === 'later') {
      const outcome: Outcome = { kind: 'later', reason: 'load', after: result.after };
      for (const entry of left) this.settle(entry, outcome);
    } else if (result.kind === 'unavailable' || result.kind === 'refused') {
      this.down();
      for (const entry of left) this.settle(entry, unavailable);
    } else if (left.length > 0) {
      this.repeat(left);
    }
  }

  /** No answer: the same bytes under the same id, before anything newer; at once the first time. */
  private repeat(left: readonly Entry[]): void {
    const spent = left.some((entry) => ++entry.attempts >= this.limits.attempts);
    if (spent || !this.running) {
      this.down();
      for (const entry of left) this.settle(entry, unavailable);
      return;
    }
    this.options.metrics.link_repeated_frames_total.inc(left.length);
    this.waiting.unshift(...left);
    if (this.pause || left.every((entry) => entry.attempts === 1)) return;
    this.pause = this.options.clock.after(this.repeats.next(), () => {
      this.pause = undefined;
      this.flush();
    });
  }

  private down(): void {
    if (!this.running) return;
    this.suspend();
    this.options.onDown();
  }

  private settle(entry: Entry, outcome: Outcome): void {
    const { clock, metrics } = this.options;
    metrics.link_answer_seconds.observe((clock.monotonic() - entry.since) / 1000);
    entry.resolve(this.count(outcome));
  }

  private count(outcome: Outcome): Outcome {
    this.options.metrics.link_frames_total.inc({ outcome: outcome.kind });
    return outcome;
  }
}

/** A frame of other sizes would spoil the batch that it is in, as would a time that a clock far ahead gave. */
function isWellFormed({ id, slot, expiry, capability, nonce, payload }: Frame): boolean {
  const sized = id.length === FRAME_ID_SIZE && capability.length === CAPABILITY_SIZE;
  const whole = nonce.length === NONCE_SIZE && payload.length === PAYLOAD_SIZE;
  return sized && whole && isUnsigned(slot, 0xff) && isUnsigned(expiry, 0xffff_ffff);
}

const isUnsigned = (value: number, most: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= most;

const malformed: Outcome = { kind: 'refused', reason: 'malformed', after: 0 };
const unavailable: Outcome = { kind: 'unavailable', reason: 'provider-down', after: 0 };
const load: Outcome = { kind: 'later', reason: 'load', after: LOAD_AFTER };
