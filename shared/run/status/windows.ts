/** Questions about the past: how a measure grew in a window, and its course in equal steps. Pure. */
import type { Past } from './history.js';
import { heightOf } from './rounding.js';
import type { Course, Rounded } from './schema.js';
import type { AnyMeasure, Moment } from './series.js';

/** The newest moment at or before `at`. */
export const momentAt = (moments: readonly Moment[], at: number): Moment | undefined =>
  moments.findLast((moment) => moment.at <= at);

export interface Window {
  readonly from: Moment;
  readonly to: Moment;
}

/** The last `ms` milliseconds, or less where the process is younger. */
export function lastWindow(past: Past, ms: number): Window {
  const { fine, now, start } = past;
  return {
    from: momentAt(fine, now.at - ms) ?? (now.at - start.at <= ms ? start : (fine[0] ?? start)),
    to: now,
  };
}

/** By how much a counter grew. */
export const growth = ({ index }: Past, measure: AnyMeasure, { from, to }: Window): number =>
  Math.max(0, index.value(to, measure) - index.value(from, measure));

export interface Steps {
  readonly moments: readonly Moment[];
  readonly stepMs: number;
  readonly count: number;
  /** End of the last step; whole steps after the start, so that a look a second later counts the same. */
  readonly end: number;
  readonly round: (count: number) => Rounded;
}

export const wholeSteps = ({ start, now }: Past, stepMs: number): number =>
  start.at + Math.floor((now.at - start.at) / stepMs) * stepMs;

/** A counter's growth in each step, or a gauge's value at its end. */
export function course(past: Past, measure: AnyMeasure, grows: boolean, steps: Steps): Course {
  const { stepMs, count, end } = steps;
  const points = Array.from({ length: count }, (_, i) => {
    const to = end - (count - 1 - i) * stepMs;
    return point(past, measure, grows, { ...steps, end: to });
  });
  return { stepSeconds: stepMs / 1000, points };
}

function point(past: Past, measure: AnyMeasure, grows: boolean, steps: Steps): number | null {
  const { moments, stepMs, end, round } = steps;
  const to = momentAt(moments, end);
  if (to === undefined || end - stepMs < past.start.at) return null;
  if (!grows) return heightOf(round(past.index.value(to, measure)));
  const from = momentAt(moments, end - stepMs);
  return from === undefined ? null : heightOf(round(growth(past, measure, { from, to })));
}
