/**
 * Signed POSTs to one gateway (relay.md §2). Keeps the offset of the gateway's clock, so that a machine with a
 * wrong clock is served after one more round trip. Every attempt is signed anew under a fresh nonce.
 */
import type { Dispatcher } from 'undici';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { fromUtf8 } from '../../../shared/encoding/bytes.js';
import { type ProblemCode, parseProblem } from '../../../shared/relay/problem.js';
import { type SigningKey, signRequest } from '../../../shared/relay/signature.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { type HttpRequest, type HttpResponse, request } from './http.js';
import type { linkMetrics } from './metrics.js';

export interface SignedClientOptions {
  readonly dispatcher: Dispatcher;
  /** Host and port as in the Host header. */
  readonly authority: string;
  /** Fingerprint of the gateway. */
  readonly gateway: string;
  readonly identity: SigningKey;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly metrics: MetricHandles<typeof linkMetrics>;
}

export type SignedPost = Pick<HttpRequest, 'path' | 'timeoutMs' | 'totalMs' | 'stream'> & {
  readonly body: Uint8Array;
};

export class SignedClient {
  private readonly options: SignedClientOptions;
  private offsetSeconds = 0;

  constructor(options: SignedClientOptions) {
    this.options = options;
  }

  /** Seconds that the gateway's clock is ahead of ours. */
  get clockOffset(): number {
    return this.offsetSeconds;
  }

  /** Unix seconds by the gateway's clock, as far as we know it. */
  now(): number {
    return seconds(this.options.clock) + this.offsetSeconds;
  }

  /** Rejects with `NoAnswer`. The body may be wiped once this has settled. */
  async post(post: SignedPost): Promise<HttpResponse> {
    const first = await this.attempt(post);
    if (problemOf(first) !== 'clock' || !this.correctClock(first)) return first;
    return this.attempt(post);
  }

  private attempt(post: SignedPost): Promise<HttpResponse> {
    const { dispatcher, authority, gateway, identity, crypto, clock } = this.options;
    const { path, body } = post;
    const headers = signRequest(crypto, identity, { authority, path, body, gateway }, this.now());
    return request(dispatcher, clock, { ...post, method: 'POST', headers });
  }

  /** Whether the answer told the gateway's time. */
  private correctClock(response: HttpResponse): boolean {
    const date = Date.parse(String(response.headers.date));
    if (Number.isNaN(date)) return false;
    this.offsetSeconds = Math.round(date / 1000) - seconds(this.options.clock);
    this.options.metrics.link_clock_offset_seconds.set(this.offsetSeconds);
    return true;
  }
}

/** The contract's code of a refusal; undefined where the answer names none. */
export function problemOf(response: HttpResponse): ProblemCode | undefined {
  if (response.status < 400) return undefined;
  try {
    return parseProblem(fromUtf8(response.body));
  } catch {
    return undefined;
  }
}

const RETRY_AFTER_MAX = 3600;

/** Retry-After in seconds, at most an hour; undefined where there is none in that form. */
export function retryAfter(response: HttpResponse): number | undefined {
  const text = String(response.headers['retry-after'] ?? '');
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), RETRY_AFTER_MAX) : undefined;
}
