/**
 * The right edge: what the gateway asks of an APNs engine. Behind it stand pools of connections with an HTTP/2 of
 * their own (`http2/`).
 */
import type { Environment } from '../../../shared/relay/identity.js';

/** Which connections a push takes: one pool per (environment, team, key) (apns.md §6). */
export interface ApnsTarget {
  readonly environment: Environment;
  readonly topic: string;
}

export interface ApnsPush extends ApnsTarget {
  /** Device token bytes; in the environment `test` the text as it is. The engine makes the path from it. */
  readonly token: Uint8Array;
  readonly pushType: 'alert' | 'background';
  readonly priority: 5 | 10;
  /** Unix seconds; always set. */
  readonly expiration: number;
  readonly collapseId?: string;
  /** Whole JSON body, at most 4,096 bytes. */
  readonly body: Uint8Array;
  /** Unix seconds of the token's last proof; a 410 counts only if Apple's time is later. 0 = never proven. */
  readonly provenAt: number;
}

/** Apple's answer as the gateway acts on it; `reason` is a closed word (an Apple reason, or ours). */
export type ApnsResult =
  | { readonly kind: 'accepted' }
  | {
      readonly kind: 'dead';
      readonly reason: 'bad' | 'topic' | 'expired' | 'unregistered' /** Unix s */;
      readonly at?: number;
    }
  | { readonly kind: 'later'; readonly reason: 'device' | 'provider' | 'load'; readonly afterSeconds: number }
  | { readonly kind: 'unavailable'; readonly reason: 'provider-down' | 'breaker-open' }
  /** Our own bug, or content that Apple will never take: not retried, counted, alerted. */
  | { readonly kind: 'rejected'; readonly reason: string };

export interface ApnsEngine {
  /** Never rejects. Full = `later`, reason `load`. */
  send(push: ApnsPush): Promise<ApnsResult>;
  /** Whether pushes of this target may be expected to be accepted, from real results. */
  ready(target: ApnsTarget): boolean;
  /** Takes no new work, waits for streams up to `graceMs`, then closes. */
  close(graceMs: number): Promise<void>;
}
