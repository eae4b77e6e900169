/** Errors of the relay's endpoints: one closed list of codes, their HTTP statuses, and the body that carries them. */

export const PROBLEM_TYPE = 'application/problem+json';

/** Code → HTTP status (relay.md §6) and a title that holds no data of the request. */
export const PROBLEMS = {
  'bad-request': { status: 400, title: 'The request is not well formed.' },
  'bad-signature': { status: 401, title: 'The signature does not verify.' },
  clock: { status: 401, title: 'The time of the request is too far from the time here; see Date.' },
  'not-listed': { status: 403, title: 'This gateway serves listed subscribers only.' },
  replay: { status: 409, title: 'This request was already received.' },
  'too-large': { status: 413, title: 'The body is too large.' },
  version: { status: 415, title: 'This version of the contract is not spoken here.' },
  'unknown-sealing-key': { status: 422, title: 'The token was sealed to a key that is not in use.' },
  'bad-sealed-token': { status: 422, title: 'The sealed token is not acceptable.' },
  'bad-capability': { status: 422, title: 'The capability is not acceptable.' },
  'bad-code': { status: 422, title: 'The code is wrong.' },
  rate: { status: 429, title: 'Too many requests; see Retry-After.' },
  unavailable: { status: 503, title: 'The gateway can not do this now.' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;
export const PROBLEM_CODES = Object.keys(PROBLEMS) as ProblemCode[];

/** The JSON body (RFC 9457) of a problem. */
export function problemBody(code: ProblemCode): string {
  return JSON.stringify({ type: 'about:blank', ...PROBLEMS[code], code });
}

/** The code in a problem's body; undefined where the text is no problem of this contract. */
export function parseProblem(text: string): ProblemCode | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const code = typeof value === 'object' && value !== null && 'code' in value ? value.code : undefined;
  return PROBLEM_CODES.find((known) => known === code);
}
