/** Numbers and states as a page says them. Pure. */
import type { Course, Rounded, RowOf, State, Status } from './schema.js';

export const STATE_WORDS: Readonly<Record<State, string>> = {
  ok: 'Working',
  idle: 'Idle',
  warn: 'Trouble',
  down: 'Down',
  unseen: 'Not seen from here',
};

export const SERVICE_WORDS: Readonly<Record<Status['service'], string>> = {
  gateway: 'Gateway',
  subscriber: 'Subscriber',
};

/** `12,000`. */
export const numberText = (n: number): string => n.toLocaleString('en-US', { maximumFractionDigits: 1 });

/** `64`, or `< 16`. */
export const countText = (count: Rounded): string =>
  'about' in count ? numberText(count.about) : `< ${numberText(count.under)}`;

/** A number and what it is of: `4.3` and `a second`; `< 16` and `in 5 min`. */
export function rateText({ seconds, count }: NonNullable<RowOf<'rate'>['recent']>): [string, string] {
  if ('under' in count) return [countText(count), `in ${spanText(seconds)}`];
  const perSecond = count.about / seconds;
  if (perSecond >= 1) return [digits(perSecond), 'a second'];
  if (perSecond * 60 >= 1) return [digits(perSecond * 60), 'a minute'];
  return [numberText(count.about), `in ${spanText(seconds)}`];
}

const digits = (n: number): string => numberText(Number(n.toPrecision(2)));

/** `12 ms`, `1.4 s`. */
export const durationText = (seconds: number): string =>
  seconds < 1 ? `${digits(seconds * 1000)} ms` : `${digits(seconds)} s`;

/** `40 s`, `5 min`, `48 hours`, `3 days`: the largest unit that fits, rounded down. */
export function spanText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 4 * 86_400) return `${Math.floor(seconds / 3600)} hours`;
  return `${Math.floor(seconds / 86_400)} days`;
}

export const memoryText = (bytes: number): string => `${numberText(Math.round(bytes / 2 ** 20))} MB`;

/** `21 Nov 2026, 12:31:05 UTC`. */
export const momentText = (iso: string): string =>
  `${new Date(iso).toLocaleString('en-GB', { timeZone: 'UTC', dateStyle: 'medium', timeStyle: 'medium' })} UTC`;

/** `12:31 UTC`. */
export const timeText = (iso: string): string => `${iso.slice(11, 16)} UTC`;

/** Under a drawing: `30 min, peak 64`. */
export function courseCaption({ stepSeconds, points }: Course): string {
  const span = spanText(stepSeconds * points.length);
  const peak = Math.max(0, ...points.map((point) => point ?? 0));
  return peak === 0 ? span : `${span}, peak ${numberText(peak)}`;
}

/** What a drawing shows, for those who don't see it. */
export function courseText({ stepSeconds, points }: Course): string {
  const known = points.filter((point) => point !== null);
  const head = `Last ${spanText(stepSeconds * points.length)} by the ${stepSeconds < 3600 ? 'minute' : 'hour'}`;
  const last = known.at(-1);
  if (last === undefined) return `${head}: nothing known yet`;
  const tell = (point: number): string => (point === 0 ? 'few' : numberText(point));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  if (low === high) return `${head}: ${tell(low)} throughout`;
  return `${head}: from ${tell(low)} to ${tell(high)}, lately ${tell(last)}`;
}
