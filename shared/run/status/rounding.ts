/**
 * Counts as a page may show them: rounded so far that nobody reads from them who was active. Below 16 nothing is
 * told, not even zero; above, the next power of two. Pure.
 */
import type { Rounded } from './schema.js';

/** Fewer are never told apart: a household's phones stay in each other's shade. */
export const SMALL = 16;
/** From here on a crowd hides everyone, and two digits are of use to the operator. */
const LARGE = 1_024;

/** For the operator's own page: powers of two, and two digits of what is large. */
export function roundForOperator(count: number): Rounded {
  return count < LARGE ? roundForPublic(count) : { about: Number(count.toPrecision(2)) };
}

/** For everybody: powers of two only. */
export function roundForPublic(count: number): Rounded {
  return count < SMALL ? { under: SMALL } : { about: 2 ** Math.round(Math.log2(count)) };
}

/** As a height in a drawing: what is not told is 0. */
export const heightOf = (count: Rounded): number => ('about' in count ? count.about : 0);
