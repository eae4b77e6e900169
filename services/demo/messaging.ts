/** A person's connection to the messaging server, from its address as text. */
import type { Crypto } from '../../shared/crypto/crypto.js';
import { parseServer } from '../../shared/smp/address.js';
import { connectSmp, type SmpClient } from '../simulators/smp/client.js';

/** Rejects like `connectSmp`. */
export function connectTo(crypto: Crypto, address: string): Promise<SmpClient> {
  const { hosts, port, keyHash } = parseServer(address);
  return connectSmp({ crypto, host: hosts[0]!, port: Number(port), keyHash });
}
