/** What the registry must know of SMP addresses: which name the same queue (guide H.5), and their servers. */
import { Writer } from '../../../shared/encoding/writer.js';
import { type SmpQueue, writeQueue } from '../../../shared/smp/address.js';
import type { AddressForm } from './registry.js';

export const smpAddressForm: AddressForm<SmpQueue> = {
  /** Hosts, port text, fingerprint and notifier id, as a client sends them. */
  encode: (queue) => writeQueue(new Writer(256), queue).done(),
  /** A server is its fingerprint, whatever host it is spelt with; the number's collisions do no harm. */
  serverOf: ({ server: { keyHash: h } }) => ((h[0]! << 24) | (h[1]! << 16) | (h[2]! << 8) | h[3]!) >>> 0,
};
