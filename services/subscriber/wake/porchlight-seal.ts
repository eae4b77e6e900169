/**
 * Profile `porchlight`: what a push says (shared/push/README.md), boxed for the phone. Takes all untold entries and told
 * ones as filler, in the order of receipt, and flags.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { messageKey } from '../../../shared/push/keys.js';
import {
  METADATA_SIZE,
  PLAINTEXT_SIZE,
  type PushEntry,
  type PushHeader,
  type SignalClass,
  writePush,
} from '../../../shared/push/porchlight-profile.js';
import { NONCE_SIZE } from '../../../shared/relay/batch.js';
import type { Entry } from './mailbox-pool.js';

/** Everything of a push but its entries, and what they have in common. */
export interface PushContext extends PushHeader {
  readonly class: SignalClass;
}

export class PorchlightSealer {
  private readonly crypto: Crypto;
  private readonly subscriptionId: (ref: number) => Uint8Array;
  /** Where the plaintext is put together; overwritten after each use. */
  private readonly plaintext = new Uint8Array(PLAINTEXT_SIZE);

  constructor(crypto: Crypto, subscriptionId: (ref: number) => Uint8Array) {
    this.crypto = crypto;
    this.subscriptionId = subscriptionId;
  }

  /** Nonce, and a payload of 2,928 bytes. @param entries with the numbers of their first pushes */
  seal(
    dhSecret: Uint8Array,
    context: PushContext,
    entries: readonly Entry[],
  ): { nonce: Uint8Array; payload: Uint8Array } {
    const { crypto, plaintext } = this;
    const key = messageKey(crypto, dhSecret);
    const content = entries.map((entry) => this.entry(entry, context.class));
    writePush({ ...context, entries: content }, plaintext);
    const nonce = crypto.randomBytes(NONCE_SIZE);
    const payload = crypto.secretboxSeal(key, nonce, plaintext);
    wipe(plaintext, key);
    return { nonce, payload };
  }

  private entry({ ref, sequence, time, nonce, metadata }: Entry, signalClass: SignalClass): PushEntry {
    const subscriptionId = this.subscriptionId(ref);
    const isWhole = metadata.length === METADATA_SIZE;
    return {
      subscriptionId,
      sequence,
      class: signalClass,
      time,
      ...(isWhole && { sealed: { nonce, metadata } }),
    };
  }
}
