/**
 * The right edge, as the rest of the subscriber sees it: one link per gateway. What stands behind it batches
 * frames, signs requests, keeps the clock offset and repeats unanswered frames with the same bytes and id.
 */

import type { Frame, Outcome } from '../../../shared/relay/batch.js';
import type { Environment } from '../../../shared/relay/identity.js';
import type { RequestResult } from './batcher.js';
import type { StatementJudgement } from './statements.js';

/** What the gateway told about itself, once its statement has been checked. */
export interface GatewayFacts {
  /** 32-byte Ed25519 key of the gateway. */
  readonly identityKey: Uint8Array;
  /** The sealing key to use now. */
  readonly sealing: { readonly keyId: Uint8Array; readonly publicKey: Uint8Array };
  /** Topic → environments that the gateway serves. */
  readonly apps: ReadonlyMap<string, readonly Environment[]>;
  /** Seconds that its clock is ahead of ours, as far as it ever complained: what it judges by time is dated by its own. */
  readonly clockOffset: number;
  /** Topic → forms in which it renders that app's pushes. */
  readonly profiles: ReadonlyMap<string, readonly string[]>;
}

/** An endpoint of the gateway said no; `code` is one of relay.md §6, or `no-answer` when it could not be asked. */
export class GatewayRefusal extends Error {
  override readonly name = 'GatewayRefusal';
  readonly code: string;
  /** Seconds to wait before asking again, where the gateway said so. */
  readonly retryAfter: number | undefined;

  constructor(code: string, retryAfter?: number) {
    super(code);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export interface GatewayLink {
  /** Undefined until a statement with a valid sealing key is held: then the listener is not ready. */
  readonly facts: GatewayFacts | undefined;
  /** False while the gateway can't be reached or says `unavailable`; frames should be kept back then. */
  readonly available: boolean;
  /** Called whenever `available` turns true. */
  onAvailable(listener: () => void): void;
  /** POST /v1/capabilities. Rejects with `GatewayRefusal`. */
  exchange(sealedToken: Uint8Array): Promise<{ capability: Uint8Array; deviceTag: Uint8Array }>;
  /** POST /v1/capabilities/prove → the proven capability. Rejects with `GatewayRefusal` (`bad-code`: it is wrong). */
  prove(capability: Uint8Array, code: Uint8Array): Promise<Uint8Array>;
  /** POST /v1/capabilities/renew. Rejects with `GatewayRefusal`. */
  renew(capability: Uint8Array): Promise<Uint8Array>;
  /**
   * POST /v1/capabilities/revoke: the gateway takes no capability of that device from us any more that is not younger.
   * Rejects with `GatewayRefusal` (`bad-capability`: it was over already).
   */
  revoke(capability: Uint8Array): Promise<void>;
  /**
   * Hands one frame over; its arrays must stay as they are until the outcome is there. Never rejects: no answer
   * after repeats is outcome `unavailable`. Whoever sees that outcome finds `available` false and is told when it
   * turns true. A full queue is `later`, reason `load`.
   */
  push(frame: Frame): Promise<Outcome>;
  /** Fetches the gateway's statement anew, for a self-test; how it was judged. */
  askStatement(): Promise<StatementJudgement>;
  /** Sends a signed batch without frames (relay.md §6), for a self-test. Never rejects. */
  hello(): Promise<RequestResult>;
  close(): Promise<void>;
}
