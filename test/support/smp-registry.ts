/** The real registry for SMP queues, on a source that follows them nowhere: tests report what servers would say. */
import { MemoryRegistry } from '../../services/subscriber/registry/memory-registry.js';
import { registryMetrics } from '../../services/subscriber/registry/metrics.js';
import { smpAddressForm } from '../../services/subscriber/registry/smp-address-form.js';
import type { NotifierKey } from '../../services/subscriber/sources/smp/source.js';
import type { Source } from '../../services/subscriber/sources/source.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { sameBytes } from '../../shared/encoding/bytes.js';
import type { Clock } from '../../shared/run/clock.js';
import type { SmpQueue } from '../../shared/smp/address.js';
import { countedMetrics } from './metrics.js';
import { GENEROUS } from './registry.js';

export type SmpRegistry = MemoryRegistry<SmpQueue, NotifierKey>;

/** Without `connect`: the caller still has to name who listens to its events. */
export function smpRegistry(crypto: Crypto, clock: Clock): { registry: SmpRegistry; source: QuietSource } {
  const { handles: metrics } = countedMetrics(registryMetrics);
  const registry: SmpRegistry = new MemoryRegistry({
    crypto,
    clock,
    metrics,
    limits: GENEROUS,
    form: smpAddressForm,
  });
  return { registry, source: new QuietSource() };
}

export class QuietSource implements Source<SmpQueue, NotifierKey> {
  private readonly followed = new Map<number, { queue: SmpQueue; key: Uint8Array }>();

  follow(queue: SmpQueue, key: NotifierKey, ref: number): { handle: number } {
    this.followed.set(ref, { queue, key: key.raw.slice() });
    return { handle: ref };
  }

  unfollow(handle: number): void {
    this.followed.delete(handle);
  }

  address(handle: number): SmpQueue {
    return this.followed.get(handle)!.queue;
  }

  holds(handle: number, key: NotifierKey): boolean {
    return sameBytes(this.followed.get(handle)!.key, key.raw);
  }

  knowsServer(): boolean {
    return true;
  }

  async close(): Promise<void> {}
}
