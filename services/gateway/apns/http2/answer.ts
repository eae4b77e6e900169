/** From the header fields and the body of a response to what the pool understands (apns.md §8). */
import { ACCEPTED, type Answer } from '../connection.js';

/** Apple's error bodies are below 100 bytes; more is not read. */
export const MAX_ERROR_BODY = 1024;
const MAX_RETRY_AFTER_SECONDS = 86_400;
const STATUS = /^[1-9]\d\d$/;

export const RESPONSE_FIELDS: ReadonlySet<string> = new Set([':status', 'retry-after', 'date']);

/** The fields that matter, as they come; of a block whose status is not one, `status` stays 0. */
export class ResponseHead {
  status = 0;
  private retryAfter: string | undefined;
  private date: string | undefined;

  field(name: string, value: string): void {
    if (name === ':status') this.status = STATUS.test(value) ? Number(value) : 0;
    else if (name === 'retry-after') this.retryAfter = value;
    else if (name === 'date') this.date = value;
  }

  /** @param body of an answer other than 200: as much as was read */
  answer(body: Uint8Array): Answer {
    if (this.status === 200) return ACCEPTED;
    const { reason, timestampMs } = errorBody(body);
    const dateMs = this.date === undefined ? Number.NaN : Date.parse(this.date);
    return {
      kind: 'response',
      status: this.status,
      reason,
      timestampMs,
      retryAfterSeconds: retryAfterSeconds(this.retryAfter),
      ...(Number.isFinite(dateMs) && { dateMs }),
    };
  }
}

/** `{"reason": text, "timestamp": ms}` of an answer or a GOAWAY; nothing where it is something else. */
export function errorBody(body: Uint8Array): { reason?: string; timestampMs?: number } {
  try {
    const { reason, timestamp } = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
    return {
      ...(typeof reason === 'string' && { reason }),
      ...(typeof timestamp === 'number' && Number.isSafeInteger(timestamp) && { timestampMs: timestamp }),
    };
  } catch {
    return {};
  }
}

/** Whole seconds only: Apple documents no Retry-After at all, and dates would trust its clock. */
function retryAfterSeconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined;
  return Math.min(Number(text), MAX_RETRY_AFTER_SECONDS);
}
