/** One push request: frames in, outcomes out as they stream back (relay.md §6). Never rejects. */
import { wipe } from '../../../shared/encoding/bytes.js';
import { encodeBatch, type Frame, type Outcome } from '../../../shared/relay/batch.js';
import { CONTENT_TYPE, PATHS } from '../../../shared/relay/constants.js';
import { AnswerStream } from './answers.js';
import type { RequestResult } from './batcher.js';
import type { HttpResponse } from './http.js';
import { problemOf, retryAfter, type SignedClient } from './signed-client.js';

/** Longest silence while frames are unanswered; the gateway's own deadline towards Apple, 25 s, is shorter. */
const SILENCE_MS = 30_000;
/** Longest time of a whole request: one that trickles may not keep its place, and its frames, for ever. */
const REQUEST_MS = 60_000;
/** A 429 without Retry-After. */
const DEFAULT_RETRY_AFTER = 60;

/** Sends a batch; no frames at all is a hello. */
export async function sendBatch(
  client: SignedClient,
  frames: readonly Frame[],
  answer: (index: number, outcome: Outcome) => void,
): Promise<RequestResult> {
  const body = encodeBatch(frames);
  const answers = new AnswerStream(frames.length, answer);
  try {
    const stream = (chunk: Uint8Array): void => answers.feed(chunk);
    const times = { timeoutMs: SILENCE_MS, totalMs: REQUEST_MS };
    return resultOf(await client.post({ path: PATHS.push, body, ...times, stream }));
  } catch {
    return { kind: 'no-answer' };
  } finally {
    answers.end();
    wipe(body);
  }
}

function resultOf(response: HttpResponse): RequestResult {
  const { status, headers } = response;
  if (status === 200) return { kind: headers['content-type'] === CONTENT_TYPE ? 'done' : 'no-answer' };
  if (status === 429) return { kind: 'later', after: retryAfter(response) ?? DEFAULT_RETRY_AFTER };
  if (status === 503) return { kind: 'unavailable' };
  const code = problemOf(response);
  // A replay is answered by a fresh nonce; what names no code comes from something in between.
  return code === undefined || code === 'replay' ? { kind: 'no-answer' } : { kind: 'refused', code };
}
