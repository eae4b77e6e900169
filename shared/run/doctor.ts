/**
 * What `porchlight doctor` found, hop by hop, for both services. A finding's texts are ours or the operator's own
 * configuration, never a peer's, and hold no secret.
 */

export type FindingState = 'ok' | 'warning' | 'failed' | 'skipped';

export interface Finding {
  /** The hop or thing looked at, a few words. */
  readonly name: string;
  readonly state: FindingState;
  /** What was seen, one line. */
  readonly detail: string;
  /** How long it took, milliseconds. */
  readonly ms?: number;
  /** What to do about it; every finding that isn't `ok` has one. */
  readonly fix?: string;
}

/** The doctor's exit status: 0 unless something failed. */
export const doctorStatus = (findings: readonly Finding[]): 0 | 1 =>
  findings.some(({ state }) => state === 'failed') ? 1 : 0;
