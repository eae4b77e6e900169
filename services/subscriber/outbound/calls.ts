/**
 * The capability endpoints (relay.md §6) with their errors as `GatewayRefusal`. A call that gets no answer is made
 * again within its time. Bodies hold capabilities and codes: overwritten when the call is over.
 */
import { type Bytes, concat, wipe } from '../../../shared/encoding/bytes.js';
import { CAPABILITY_SIZE } from '../../../shared/relay/batch.js';
import { CONTENT_TYPE, DEVICE_TAG_SIZE, PATHS } from '../../../shared/relay/constants.js';
import { Backoff } from '../../../shared/run/backoff.js';
import { type Clock, sleep } from '../../../shared/run/clock.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { GatewayRefusal } from './gateway-link.js';
import { type HttpResponse, NoAnswer } from './http.js';
import type { linkMetrics } from './metrics.js';
import { problemOf, retryAfter, type SignedClient } from './signed-client.js';

export interface CallsOptions {
  readonly client: SignedClient;
  readonly clock: Clock;
  readonly metrics: MetricHandles<typeof linkMetrics>;
  readonly random: () => number;
  /** The gateway no longer knows the sealing key that was used: its statement has changed. */
  readonly onUnknownSealingKey: () => void;
}

type Endpoint = 'exchange' | 'prove' | 'renew' | 'revoke';

/** A TVFY waits 8 s for its proof (design §4.1); so does everything else here. */
const CALL_MS = 8_000;
const ATTEMPT_MS = 5_000;
/** Calls at once; more are refused as `no-answer`, and whoever asked asks again later. */
const MAX_CALLS = 1_024;

export class CapabilityCalls {
  private readonly options: CallsOptions;
  private running = 0;

  constructor(options: CallsOptions) {
    this.options = options;
  }

  async exchange(sealedToken: Bytes): Promise<{ capability: Uint8Array; deviceTag: Uint8Array }> {
    const size = CAPABILITY_SIZE + DEVICE_TAG_SIZE;
    const answer = await this.call('exchange', PATHS.capabilities, concat(sealedToken), size);
    const parts = { capability: answer.slice(0, CAPABILITY_SIZE), deviceTag: answer.slice(CAPABILITY_SIZE) };
    wipe(answer);
    return parts;
  }

  prove(capability: Bytes, code: Bytes): Promise<Uint8Array> {
    return this.call('prove', PATHS.prove, concat(capability, code), CAPABILITY_SIZE);
  }

  renew(capability: Bytes): Promise<Uint8Array> {
    return this.call('renew', PATHS.renew, concat(capability), CAPABILITY_SIZE);
  }

  async revoke(capability: Bytes): Promise<void> {
    await this.call('revoke', PATHS.revoke, concat(capability), 0);
  }

  private async call(endpoint: Endpoint, path: string, body: Uint8Array, size: number): Promise<Uint8Array> {
    this.running++;
    try {
      const answer = await this.attempts(path, body, size);
      this.options.metrics.link_calls_total.inc({ endpoint, result: 'ok' });
      return answer;
    } catch (error) {
      const refusal = error instanceof GatewayRefusal ? error : new GatewayRefusal('no-answer');
      if (refusal.code === 'unknown-sealing-key') this.options.onUnknownSealingKey();
      const result = refusal.code === 'no-answer' ? 'no-answer' : 'refused';
      this.options.metrics.link_calls_total.inc({ endpoint, result });
      throw refusal;
    } finally {
      this.running--;
      wipe(body);
    }
  }

  private async attempts(path: string, body: Uint8Array, size: number): Promise<Uint8Array> {
    const { client, clock, random } = this.options;
    if (this.running > MAX_CALLS) throw new GatewayRefusal('no-answer');
    const end = clock.monotonic() + CALL_MS;
    const pauses = new Backoff({ minMs: 100, maxMs: 2_000, random });
    for (;;) {
      const left = end - clock.monotonic();
      try {
        return granted(await client.post({ path, body, timeoutMs: Math.min(ATTEMPT_MS, left) }), size);
      } catch (error) {
        const pause = pauses.next();
        if (!(error instanceof NoAnswer) || clock.monotonic() + pause >= end) throw error;
        await sleep(clock, pause);
      }
    }
  }
}

/** The body of a good answer. Throws `GatewayRefusal`, or `NoAnswer` where asking again may help. */
function granted(response: HttpResponse, size: number): Uint8Array {
  const { status, headers, body } = response;
  const isWhole = status === (size === 0 ? 204 : 200) && body.length === size;
  if (isWhole && headers['content-type'] === CONTENT_TYPE) return body;
  const code = problemOf(response);
  if (code === undefined || code === 'replay') throw new NoAnswer('no answer');
  throw new GatewayRefusal(code, retryAfter(response));
}
