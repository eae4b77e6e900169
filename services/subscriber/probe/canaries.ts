/** The canaries of all configured servers, and how many are in which state. */
import type { ServerAddress } from '../../../shared/smp/address.js';
import { Canary, type CanaryShared, type CanaryState } from './canary.js';

const STATES: readonly CanaryState[] = ['starting', 'ok', 'silent', 'unreachable'];

export interface Canaries {
  close(): Promise<void>;
}

/** Each begins within half a minute. */
export function startCanaries(
  servers: readonly ServerAddress[],
  options: Omit<CanaryShared, 'changed'>,
): Canaries {
  const changed = (): void => {
    for (const state of STATES) {
      const count = canaries.filter((canary) => canary.state === state).length;
      options.metrics.canary_servers.set({ state }, count);
    }
  };
  const canaries = servers.map((server, i) => new Canary(server, i + 1, { ...options, changed }));
  changed();
  return {
    async close() {
      await Promise.all(canaries.map((canary) => canary.close()));
    },
  };
}
