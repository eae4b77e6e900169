/**
 * Signals that overtook the answer to their queue's NSUB, the latest of each, until that answer says whose they are:
 * servers hand over what they kept at their own pace (guide G.3). One store for all servers, so that hostile ones
 * can't fill the memory; what finds no room is for the caller to make up for.
 */
import { sameBytes } from '../../../../shared/encoding/bytes.js';

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

  /** Keeps a copy; false where there is no room. */
  keep(row: number, { server, notifierId, nonce, metadata }: EarlySignal): boolean {
    if (this.byRow.size >= MAX_SIGNALS && !this.byRow.has(row)) return false;
    const copied = { notifierId: notifierId.slice(), nonce: nonce.slice(), metadata: metadata.slice() };
    this.byRow.set(row, { server, ...copied });
    return true;
  }

  /** The signal, which is forgotten; none where the row was another queue's when it came. */
  take(row: number, server: number, notifierId: Uint8Array): EarlySignal | undefined {
    const signal = this.byRow.get(row);
    this.byRow.delete(row);
    return signal?.server === server && sameBytes(signal.notifierId, notifierId) ? signal : undefined;
  }

  forget(row: number): void {
    this.byRow.delete(row);
  }
}
