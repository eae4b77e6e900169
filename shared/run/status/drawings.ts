/** Inline SVG: bars of a course, a latency on its scale, a share, the sign of a state. Pure; no styles inside. */
import { html } from 'hono/html';
import type { Course, RowOf, State } from './schema.js';
import { courseText, durationText } from './words.js';

export type Html = ReturnType<typeof html>;

const BAR = 3;
const PITCH = 4;
const HEIGHT = 32;
/** What is too few to tell is a hairline, so that known time differs from unknown time. */
const HAIRLINE = 1.5;
const LEAST = 4;

/** One bar a step; nothing where nothing is known. */
export function courseDrawing(course: Course): Html {
  const { points } = course;
  const peak = Math.max(1, ...points.map((point) => point ?? 0));
  const bar = (height: number, i: number): string =>
    `M${i * PITCH} ${HEIGHT}h${BAR}v${-Number(height.toFixed(1))}h${-BAR}z`;
  const path = (heightOf: (point: number | null) => number): string =>
    points.map((point, i) => (heightOf(point) > 0 ? bar(heightOf(point), i) : '')).join('');
  const few = path((point) => (point === 0 ? HAIRLINE : 0));
  const bars = path((point) => (point ? LEAST + (point / peak) * (HEIGHT - LEAST) : 0));
  return html`<svg class="course" role="img" aria-label="${courseText(course)}"
    viewBox="0 0 ${points.length * PITCH - 1} ${HEIGHT}" preserveAspectRatio="none"
    ><path class="floor" d="M0 ${HEIGHT}h${points.length * PITCH - 1}"/><path class="few" d="${few}"/><path class="bars" d="${bars}"/></svg>`;
}

const SCALE_WIDTH = 320;
const SCALE_MARGIN = 14;
const SCALE_FROM = 0.001;
const SCALE_TO = 30;
const DECADES = [0.001, 0.01, 0.1, 1, 10] as const;

/** Where a duration lies between 1 ms and 30 s, logarithmically. */
function placeOf(seconds: number): number {
  const within = Math.min(SCALE_TO, Math.max(SCALE_FROM, seconds));
  const part = Math.log(within / SCALE_FROM) / Math.log(SCALE_TO / SCALE_FROM);
  return Number((SCALE_MARGIN + part * (SCALE_WIDTH - 2 * SCALE_MARGIN)).toFixed(1));
}

/** Half of all at the dot, 95 in 100 within the thick line, 99 within the thin one. */
export function latencyDrawing({ p50, p95, p99 }: NonNullable<RowOf<'latency'>['quantiles']>): Html {
  const [half, most, nearlyAll] = [placeOf(p50), placeOf(p95), placeOf(p99)];
  const text = `Half within ${durationText(p50)}, 95 % within ${durationText(p95)}, 99 % within ${durationText(p99)}`;
  return html`<svg class="latency" role="img" aria-label="${text}" viewBox="0 0 ${SCALE_WIDTH} 34"
    >${DECADES.map(
      (
        seconds,
      ) => html`<path class="floor" d="M${placeOf(seconds)} 4v16"/><text x="${placeOf(seconds)}" y="32"
        text-anchor="middle">${durationText(seconds)}</text>`,
    )}<path class="floor" d="M${SCALE_MARGIN} 12h${SCALE_WIDTH - 2 * SCALE_MARGIN}"/><path class="thin" d="M${half} 12H${nearlyAll}"/><path
    class="thick" d="M${half} 12H${most}"/><circle class="half" cx="${half}" cy="12" r="5"/></svg>`;
}

/** A line for what is there at each moment, where bars would claim that it happened. */
export function levelDrawing(course: Course): Html {
  const { points } = course;
  const peak = Math.max(1, ...points.map((point) => point ?? 0));
  const y = (point: number): string => (HEIGHT - HAIRLINE - (point / peak) * (HEIGHT - 2 * LEAST)).toFixed(1);
  const line = points
    .map((point, i) =>
      point === null
        ? ''
        : `${(points[i - 1] ?? null) === null ? 'M' : 'L'}${i * PITCH} ${y(point)}h${PITCH}`,
    )
    .join('');
  return html`<svg class="course" role="img" aria-label="${courseText(course)}"
    viewBox="0 0 ${points.length * PITCH} ${HEIGHT}" preserveAspectRatio="none"
    ><path class="floor" d="M0 ${HEIGHT}h${points.length * PITCH}"/><path class="level" d="${line}"/></svg>`;
}

/** @param part from 0 to 1 */
export const shareDrawing = (part: number): Html =>
  html`<svg class="share" aria-hidden="true" viewBox="0 0 100 6" preserveAspectRatio="none"
    ><path class="floor" d="M0 3h100"/><path class="bars" d="M0 0h${(part * 100).toFixed(1)}v6h-${(part * 100).toFixed(1)}z"/></svg>`;

const SIGNS: Readonly<Record<State, string>> = {
  ok: 'M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12z',
  idle: 'M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12zM8 4.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7z',
  warn: 'M8 1.5L15 14H1z',
  down: 'M3 1.5L8 6.3L13 1.5L14.5 3L9.7 8L14.5 13L13 14.5L8 9.7L3 14.5L1.5 13L6.3 8L1.5 3z',
  unseen: 'M0 7h4v2H0zM6 7h4v2H6zM12 7h4v2H12z',
};

/** Shapes differ, not only colours. Says nothing: the word stands beside it. */
export const stateSign = (state: State): Html =>
  html`<svg class="sign ${state}" aria-hidden="true" viewBox="0 0 16 16"><path fill-rule="evenodd" d="${SIGNS[state]}"/></svg>`;

/** A lamp over a door. */
export const lamp = (state: State): Html =>
  html`<svg class="lamp ${state}" aria-hidden="true" viewBox="0 0 40 40"
    ><circle class="glow" cx="20" cy="21" r="18"/><path class="iron" d="M20 3v4M13 12l7-5l7 5zM13 29h14l-2 3H15z"/><path class="glass" d="M14 13h12l1 15H13z"/></svg>`;
