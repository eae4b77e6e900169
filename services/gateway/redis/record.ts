/** The outcome of a frame as Redis keeps it: words and a number. A renewed capability is left out; it is renewed later. */
import { OUTCOMES, type Outcome, type OutcomeKind } from '../../../shared/relay/batch.js';
import { laterStep } from '../../../shared/relay/constants.js';

export const encodeRecord = ({ kind, reason, after }: Outcome): string => `${kind} ${reason} ${after}`;

/** Undefined where it is none. Times to wait are rounded here, since the script does not. */
export function decodeRecord(text: string): Outcome | undefined {
  const [kind, reason, after] = text.split(' ');
  if (kind === undefined || !Object.hasOwn(OUTCOMES, kind)) return undefined;
  const reasons: readonly string[] = OUTCOMES[kind as OutcomeKind];
  if (reason === undefined || !reasons.includes(reason) || !/^\d{1,9}$/.test(after ?? '')) return undefined;
  return { kind, reason, after: kind === 'later' ? laterStep(Number(after)) : 0 } as Outcome;
}
