/** What gateways share through Redis, with a real one. */

import { sleep, systemClock } from '../../shared/run/clock.js';
import { describeGate } from '../support/frame-gate.js';
import { startCounting, stateFolder } from '../support/redis-gate.js';
import { RedisServer } from '../support/redis-server.js';

describeGate('through Redis', async () => {
  const server = await RedisServer.start();
  const state = stateFolder();
  const counting = await startCounting({
    state: state.path,
    redis: { urls: [server.url], timeout_ms: 2_000 },
  });
  return {
    gate: counting.gate,
    advance: (ms) => sleep(systemClock, ms),
    async close() {
      await counting.close();
      await server.close();
      state.remove();
    },
  };
});
