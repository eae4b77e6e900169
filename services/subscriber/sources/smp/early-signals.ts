/**
 * Signals that overtook the answer to their queue's NSUB, the latest of each, until that answer says whose they are:
 * servers hand over what they kept at their own pace (guide G.3). One store for all servers, so that hostile ones
 * can't fill the memory; what finds no room is for the caller to make up for.
 */
import { secretCopy } from '../../../../shared/crypto/memory.js';
import { sameBytes, wipe } from '../../../../shared/encoding/bytes.js';
import type { SmpMetrics } from './metrics.js';

/** Some 400 bytes each. */
const MAX_SIGNALS = 10_000;

export interface EarlySignal {
  /** Number of the server that sent it. */
  readonly server: number;
  readonly notifierId: Uint8Array;
  readonly nonce: Uint8Array;
  readonly metadata: Uint8Array;
}

export class EarlySignals {
  private readonly byRow = new Map<number, EarlySignal>();
  private readonly held: SmpMetrics['smp_early_signals'];

  /** @param held how many are kept */
  constructor(held: SmpMetrics['smp_early_signals']) {
    this.held = held;
  }

  /** Keeps a copy; false where there is no room. */
  keep(row: number, { server, notifierId, nonce, metadata }: EarlySignal): boolean {
    if (this.byRow.size >= MAX_SIGNALS && !this.byRow.has(row)) return false;
    this.forget(row);
    const copies = {
      notifierId: secretCopy(notifierId),
      nonce: secretCopy(nonce),
      metadata: secretCopy(metadata),
    };
    this.byRow.set(row, { server, ...copies });
    this.held.set(this.byRow.size);
    return true;
  }

  /** Gives `use` the row's signal, which is forgotten; nothing where the row was another queue's when it came. */
  take(row: number, server: number, notifierId: Uint8Array, use: (signal: EarlySignal) => void): void {
    const signal = this.byRow.get(row);
    if (signal?.server === server && sameBytes(signal.notifierId, notifierId)) use(signal);
    this.forget(row);
  }

  forget(row: number): void {
    const signal = this.byRow.get(row);
    if (signal === undefined) return;
    this.byRow.delete(row);
    this.held.set(this.byRow.size);
    wipe(signal.notifierId, signal.nonce, signal.metadata);
  }
}
