/** An `SmpSource` under test and a record of all that it told. */

import { smpMetrics } from '../../services/subscriber/sources/smp/metrics.js';
import {
  type NotifierKey,
  SmpSource,
  type SmpSourceOptions,
} from '../../services/subscriber/sources/smp/source.js';
import type { FollowStatus, SourceSink } from '../../services/subscriber/sources/source.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { publicKeyOf } from '../../shared/crypto/signatures.js';
import { toHex } from '../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../shared/encoding/keys.js';
import { systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import type { SmpQueue } from '../../shared/smp/address.js';
import type { FakeSmp } from './fake-smp.js';
import { countedMetrics } from './metrics.js';

export class RecordingSink implements SourceSink {
  /** All statuses of a ref, in order. */
  readonly statuses = new Map<number, string[]>();
  readonly signals: { ref: number; nonce: Uint8Array; metadata: Uint8Array }[] = [];
  readonly missed: number[] = [];
  onChange: () => void = () => {};

  status(ref: number, status: FollowStatus): void {
    const list = this.statuses.get(ref) ?? [];
    this.statuses.set(ref, list);
    list.push(status.kind === 'error' ? `ERR ${status.word}` : status.kind);
    this.onChange();
  }

  signal(ref: number, nonce: Uint8Array, metadata: Uint8Array): void {
    this.signals.push({ ref, nonce: nonce.slice(), metadata: metadata.slice() });
    this.onChange();
  }

  maybeMissed(ref: number): void {
    this.missed.push(ref);
    this.onChange();
  }

  /** The last status of a ref. */
  last(ref: number): string | undefined {
    return this.statuses.get(ref)?.at(-1);
  }

  /** How many refs have this status now. */
  count(status: string): number {
    let n = 0;
    for (const list of this.statuses.values()) if (list.at(-1) === status) n++;
    return n;
  }

  /** Resolves as soon as the condition holds. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.onChange = () => {
        if (condition()) resolve();
      };
      this.onChange();
    });
  }
}

export function smpSource(crypto: Crypto, options: Partial<SmpSourceOptions> = {}) {
  const sink = new RecordingSink();
  const metrics = countedMetrics(smpMetrics);
  const source = new SmpSource({
    crypto,
    clock: systemClock,
    sink,
    metrics: metrics.handles,
    log: silentLog,
    allow: ['127.0.0.0/8', '::1'],
    ...options,
  });
  return { source, sink, metrics };
}

export const KEY_SIZES = { ed25519: 32, ed448: 57, x25519: 32 } as const;

/** A new private key, whose public part the server learns for this queue. */
export function notifierKey(
  crypto: Crypto,
  server: FakeSmp,
  queue: SmpQueue,
  algorithm: AuthAlgorithm = 'ed25519',
): NotifierKey {
  const key: Key<AuthAlgorithm> = { algorithm, raw: crypto.randomBytes(KEY_SIZES[algorithm]) };
  const raw =
    algorithm === 'x25519'
      ? crypto.x25519PublicKey(key.raw)
      : publicKeyOf(crypto, { algorithm, raw: key.raw }).raw;
  server.keys.set(toHex(queue.notifierId), { algorithm, raw });
  return key;
}
