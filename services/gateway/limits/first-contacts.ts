/**
 * A subscriber whose first contacts Apple mostly refuses is stopped for an hour (design §6): made-up tokens would
 * else cost the operator's standing with Apple. Bounded; the oldest is forgotten.
 */
import type { Clock } from '../../../shared/run/clock.js';

const STOP_MS = 3_600_000;
/** Fewer answers than this say nothing. */
const MIN_ANSWERS = 8;
/** Beyond this many, old answers count half. */
const MAX_ANSWERS = 64;
const CAPACITY = 10_000;

interface Score {
  answers: number;
  refused: number;
  stoppedUntil: number;
}

export class FirstContacts {
  private readonly clock: Clock;
  private readonly scores = new Map<string, Score>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Seconds to wait; 0 = go. */
  stoppedSeconds(tag: string): number {
    const score = this.scores.get(tag);
    if (score === undefined) return 0;
    return Math.max(0, Math.ceil((score.stoppedUntil - this.clock.monotonic()) / 1000));
  }

  /** Apple's word on a first contact. */
  answered(tag: string, refused: boolean): void {
    const score = this.scores.get(tag) ?? this.fresh(tag);
    if (score.answers >= MAX_ANSWERS) {
      score.answers /= 2;
      score.refused /= 2;
    }
    score.answers++;
    if (refused) score.refused++;
    if (score.answers < MIN_ANSWERS || score.refused * 2 <= score.answers) return;
    score.stoppedUntil = this.clock.monotonic() + STOP_MS;
    score.answers = 0;
    score.refused = 0;
  }

  private fresh(tag: string): Score {
    if (this.scores.size >= CAPACITY) this.scores.delete(this.scores.keys().next().value!);
    const score = { answers: 0, refused: 0, stoppedUntil: 0 };
    this.scores.set(tag, score);
    return score;
  }
}
