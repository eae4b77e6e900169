import { DeviceLimits } from '../../../../../services/gateway/limits/devices.js';
import { MemoryGate } from '../../../../../services/gateway/limits/frame-gate.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { describeGate } from '../../../../support/frame-gate.js';

describeGate('in memory', async () => {
  const clock = new VirtualClock();
  const devices = new DeviceLimits({ crypto: await loadCrypto(), clock, capacity: 1_000 });
  return {
    gate: new MemoryGate(devices),
    advance: (ms) => clock.advance(ms),
    close: async () => devices.close(),
  };
});
