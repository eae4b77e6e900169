/** The SMP source alone, over TLS, subscribing queues at one server. */
import { smpMetrics } from '../../../services/subscriber/sources/smp/metrics.js';
import { SmpSource } from '../../../services/subscriber/sources/smp/source.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { systemClock } from '../../../shared/run/clock.js';
import { silentLog } from '../../../shared/run/log.js';
import { Metrics } from '../../../shared/run/metrics.js';
import { cpuMicros, serve } from '../child.js';

let followed = 0;

const api = {
  /** Follows `count` further queues; CPU and wall microseconds from the first NSUB to the last confirmation. */
  async run(
    server: { port: number; keyHash: Uint8Array },
    count: number,
    algorithm: 'ed25519' | 'x25519',
  ): Promise<{ cpu: number; wall: number }> {
    const crypto = await loadCrypto();
    let [active, done] = [0, () => {}];
    const source = new SmpSource({
      crypto,
      clock: systemClock,
      log: silentLog,
      sink: {
        status: (_, { kind }) => {
          if (kind === 'active' && ++active === count) done();
        },
        signal() {},
        maybeMissed() {},
      },
      metrics: new Metrics('').add(smpMetrics),
      allow: ['127.0.0.0/8'],
    });
    const address = { hosts: ['127.0.0.1'], port: String(server.port), keyHash: server.keyHash };
    for (let ref = 0; ref < count; ref++) {
      const notifierId = new Uint8Array(24);
      new DataView(notifierId.buffer).setUint32(20, followed++);
      source.follow({ server: address, notifierId }, { algorithm, raw: crypto.randomBytes(32) }, ref);
    }
    const [cpuBefore, wallBefore] = [cpuMicros(), systemClock.monotonic()];
    await new Promise<void>((resolve) => {
      done = resolve;
    });
    const result = { cpu: cpuMicros() - cpuBefore, wall: (systemClock.monotonic() - wallBefore) * 1000 };
    await source.close();
    return result;
  },
};
export type Nsub = typeof api;
serve(api);
