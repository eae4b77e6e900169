/** What the phone must keep between starts, as text for its own protected storage: it holds all its secrets. */
import { fromBase64url, toBase64url } from '../encoding/base64url.js';
import type { Delivery } from './delivery.js';
import type { Device } from './device.js';
import type { Subscription } from './subscriptions.js';

export interface PhoneState {
  readonly device?: Device;
  readonly subscriptions: readonly Subscription[];
  /** Profile `porchlight` only. */
  readonly delivery?: Delivery;
}

const VERSION = 1;

/** A state that this version can't read. */
export class StateError extends Error {
  override readonly name = 'StateError';
}

export function encodeState(state: PhoneState): string {
  const text = (_: string, value: unknown): unknown =>
    value instanceof Uint8Array ? { bytes: toBase64url(value) } : value;
  return JSON.stringify({ version: VERSION, ...state }, text);
}

/** Reads what `encodeState` wrote, and only that: it comes from the phone's own storage. Throws `StateError`. */
export function decodeState(text: string): PhoneState {
  const parsed = parse(text);
  if (parsed.version !== VERSION || !Array.isArray(parsed.subscriptions))
    throw new StateError('not a saved state');
  const { version: _, ...state } = parsed;
  return state as unknown as PhoneState;
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text, revive);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {}
  throw new StateError('not a saved state');
}

function revive(_: string, value: unknown): unknown {
  const isBytes =
    typeof value === 'object' && value !== null && 'bytes' in value && typeof value.bytes === 'string';
  return isBytes ? fromBase64url(value.bytes as string) : value;
}
