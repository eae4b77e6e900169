/** How answers to NSUB become statuses (design §3, guide G.5), and statuses as single bytes. */
import type { ErrorType } from '../../../../shared/smp/errors.js';
import type { FollowStatus } from '../source.js';

/**
 * What came of one NSUB: `temporary` changes no status and is tried again soon; `error` is tried again on the next
 * connection, then daily; the rest is final.
 */
export type Answer =
  | { readonly kind: 'subscribed'; readonly serviceId: Uint8Array | undefined }
  | { readonly kind: 'temporary' }
  | { readonly kind: 'auth' | 'service' }
  | { readonly kind: 'error'; readonly word: ErrorWord };

/** The closed list of words in `ERR …` statuses (guide H.5): never text from a peer. */
export const ERROR_WORDS = [
  'SMP error BLOCK',
  'SMP error SESSION',
  'SMP error CMD UNKNOWN',
  'SMP error CMD SYNTAX',
  'SMP error CMD PROHIBITED',
  'SMP error CMD NO_AUTH',
  'SMP error CMD HAS_AUTH',
  'SMP error CMD NO_ENTITY',
  'SMP error PROXY',
  'SMP error BLOCKED',
  'SMP error CRYPTO',
  'SMP error QUOTA',
  'SMP error EXPIRED',
  'SMP error NO_MSG',
  'SMP error LARGE_MSG',
  'SMP error TRANSPORT NO_AUTH',
  'SMP unexpected response',
] as const;
export type ErrorWord = (typeof ERROR_WORDS)[number];

/** An answer that is none to NSUB, or one that can't be read. */
export const UNEXPECTED: Answer = { kind: 'error', word: 'SMP unexpected response' };
/** The session has no key for authenticators: version 6, or a server without one. */
export const NO_AUTHENTICATOR: Answer = { kind: 'error', word: 'SMP error TRANSPORT NO_AUTH' };

/** What an ERR means for a subscription (design §3). */
export function answerOf(error: ErrorType): Answer {
  if (error.kind === 'INTERNAL' || error.kind === 'STORE') return { kind: 'temporary' };
  if (error.kind === 'AUTH') return { kind: 'auth' };
  if (error.kind === 'SERVICE') return { kind: 'service' };
  const text = `SMP error ${error.kind}${error.kind === 'CMD' ? ` ${error.reason}` : ''}`;
  const word = ERROR_WORDS.find((known) => known === text);
  return word ? { kind: 'error', word } : UNEXPECTED;
}

const KINDS = ['pending', 'active', 'inactive', 'end', 'deleted', 'auth', 'service'] as const;

/** The status of an entry of which nothing was reported yet. Reads as `pending`. */
export const UNREPORTED = KINDS.length + ERROR_WORDS.length;

/** The status as one byte. */
export function statusByte(status: FollowStatus): number {
  if (status.kind !== 'error') return KINDS.indexOf(status.kind);
  return KINDS.length + ERROR_WORDS.indexOf(status.word as ErrorWord);
}

/** The status of a byte that `statusByte` made. */
export const statusOf = (byte: number): FollowStatus => STATUSES[byte]!;

/** How many such bytes there are. */
export const STATUS_BYTES = UNREPORTED + 1;

const STATUSES: readonly FollowStatus[] = [
  ...KINDS.map((kind) => ({ kind })),
  ...ERROR_WORDS.map((word) => ({ kind: 'error', word }) as const),
  { kind: 'pending' },
];
