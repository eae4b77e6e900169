/**
 * One request over an undici dispatcher: headers out, a bounded or streamed body in, time-outs between bytes and of
 * the whole.
 * Errors carry a closed word; never a URL, a header or a body.
 */
import type { Dispatcher } from 'undici';
import { type Bytes, concat, wipe } from '../../../shared/encoding/bytes.js';
import { MAX_STATEMENT_SIZE } from '../../../shared/relay/statement.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array;
  /** Longest silence of the gateway. */
  readonly timeoutMs: number;
  /** Longest time of the whole exchange; `timeoutMs` unless given. */
  readonly totalMs?: number;
  /** Takes the body of a 200 piece by piece instead of collecting it; a throw aborts the request. */
  readonly stream?: (chunk: Bytes) => void;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Empty where the body was streamed. */
  readonly body: Uint8Array;
}

/** The request got no answer that can be used. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** For undici: time-outs are ours, on the injected clock. */
export const NO_TIMEOUTS = { headersTimeout: 0, bodyTimeout: 0 } as const;

/** Sends a request. Rejects with `NoAnswer` where the answer doesn't come, or not whole. */
export function request(dispatcher: Dispatcher, clock: Clock, wanted: HttpRequest): Promise<HttpResponse> {
  const { method, path, headers, body } = wanted;
  return new Promise((resolve, reject) => {
    const handler = new ResponseHandler(clock, wanted, resolve, () => reject(new NoAnswer('no answer')));
    dispatcher.dispatch({ method, path, headers, ...(body && { body }) }, handler);
  });
}

class ResponseHandler implements Dispatcher.DispatchHandler {
  private readonly clock: Clock;
  private readonly wanted: HttpRequest;
  private readonly resolve: (response: HttpResponse) => void;
  private readonly fail: () => void;
  private readonly chunks: Uint8Array[] = [];
  private collected = 0;
  private status = 0;
  private headers: HttpResponse['headers'] = {};
  private controller: Dispatcher.DispatchController | undefined;
  private timer: Timer;
  private readonly endsAt: number;
  private ended = false;

  constructor(
    clock: Clock,
    wanted: HttpRequest,
    resolve: (response: HttpResponse) => void,
    fail: () => void,
  ) {
    this.clock = clock;
    this.wanted = wanted;
    this.resolve = resolve;
    this.fail = fail;
    this.endsAt = clock.monotonic() + (wanted.totalMs ?? wanted.timeoutMs);
    this.timer = this.watch();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.ended) controller.abort(new NoAnswer('time-out'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: HttpResponse['headers']): void {
    this.status = status;
    this.headers = headers;
    this.heard();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Bytes): void {
    if (this.ended) return;
    this.heard();
    try {
      this.take(chunk);
    } catch {
      controller.abort(new NoAnswer('not an answer'));
    } finally {
      wipe(chunk);
    }
  }

  onResponseEnd(): void {
    if (!this.end()) return;
    const body = concat(...this.chunks);
    wipe(...this.chunks);
    this.resolve({ status: this.status, headers: this.headers, body });
  }

  onResponseError(): void {
    if (!this.end()) return;
    wipe(...this.chunks);
    this.fail();
  }

  private take(chunk: Bytes): void {
    if (this.status === 200 && this.wanted.stream) {
      this.wanted.stream(chunk);
      return;
    }
    this.collected += chunk.length;
    // A statement is the longest body that is collected (relay.md §1).
    if (this.collected > MAX_STATEMENT_SIZE) throw new NoAnswer('too long');
    this.chunks.push(concat(chunk));
  }

  private heard(): void {
    this.timer.cancel();
    this.timer = this.watch();
  }

  private watch(): Timer {
    const left = Math.max(0, this.endsAt - this.clock.monotonic());
    return this.clock.after(Math.min(this.wanted.timeoutMs, left), () => {
      this.controller?.abort(new NoAnswer('time-out'));
      this.onResponseError();
    });
  }

  private end(): boolean {
    if (this.ended) return false;
    this.ended = true;
    this.timer.cancel();
    return true;
  }
}
