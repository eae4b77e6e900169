/** Numbers and names of the relay contract that more than one part needs (relay.md). */

export const CONTENT_TYPE = 'application/vnd.porchlight.v1';

export const PATHS = {
  gateway: '/v1/gateway',
  capabilities: '/v1/capabilities',
  prove: '/v1/capabilities/prove',
  renew: '/v1/capabilities/renew',
  revoke: '/v1/capabilities/revoke',
  push: '/v1/push',
} as const;

/** Forms of pushes, as the statement names them: what stock SimpleX apps open, and what apps on the SDK do. */
export const PROFILES = ['simplex', 'porchlight'] as const;
export type ProfileName = (typeof PROFILES)[number];

/** Whole request body (relay.md §6): a full batch of 256 frames and room to spare. */
export const MAX_BODY_SIZE = 1024 * 1024;

/** Answer to `POST /v1/capabilities`: capability[256] + deviceTag[16]. */
export const DEVICE_TAG_SIZE = 16;

/** An Ed25519 or X25519 public key. */
export const PUBLIC_KEY_SIZE = 32;

/** The waits, in seconds, that `later` may name: nothing finer leaves the gateway (relay.md §6). */
export const LATER_STEPS = [60, 300, 1200, 3600] as const;

/** `seconds` rounded up to a step; more than the longest is the longest. */
export const laterStep = (seconds: number): number =>
  LATER_STEPS.find((step) => seconds <= step) ?? LATER_STEPS[LATER_STEPS.length - 1]!;
