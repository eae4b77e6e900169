import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Availability } from '../../../../../services/subscriber/outbound/availability.js';
import { linkMetrics } from '../../../../../services/subscriber/outbound/metrics.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { Metrics } from '../../../../../shared/run/metrics.js';

/** An availability whose probes have the results that the test lays out; the last one repeats. */
function rig(results: boolean[]) {
  const clock = new VirtualClock();
  const start = clock.now();
  const probes: number[] = [];
  const events: string[] = [];
  const availability = new Availability({
    probe: async () => {
      probes.push(clock.now() - start);
      return results.length > 1 ? results.shift()! : results[0]!;
    },
    onUp: () => events.push('resume'),
    clock,
    log: silentLog,
    metrics: new Metrics('test_').add(linkMetrics),
    random: () => 1,
  });
  availability.onUp(() => events.push('listener'));
  return { clock, probes, events, availability };
}

describe('availability of a gateway', () => {
  test('starts down, probes at once, then at growing intervals up to a minute', async () => {
    const { clock, probes, availability } = rig([false]);
    assert.equal(availability.up, false);
    await clock.advance(200_000);
    assert.deepEqual(probes.slice(0, 5), [0, 500, 1500, 3500, 7500]);
    assert.equal(probes.at(-1)! - probes.at(-2)!, 60_000);
  });

  test('work resumes before the listeners hear of it', async () => {
    const { clock, events, availability } = rig([false, true]);
    await clock.advance(500);
    assert.equal(availability.up, true);
    assert.deepEqual(events, ['resume', 'listener']);
  });

  test('a gateway that fails right after each probe is asked less and less often', async () => {
    const { clock, probes, availability } = rig([true]);
    await clock.advance(0);
    for (let i = 0; i < 3; i++) {
      availability.down();
      while (!availability.up) await clock.advance(100);
    }
    assert.deepEqual(probes, [0, 500, 1500, 3500]);
  });

  test('after a minute of service it is looked for quickly again', async () => {
    const { clock, probes, availability } = rig([false, false, true, true]);
    await clock.advance(1500);
    assert.equal(availability.up, true);
    await clock.advance(60_000);
    availability.down();
    await clock.advance(500);
    assert.equal(probes.at(-1), 62_000);
  });

  test('closed, it asks nothing more', async () => {
    const { clock, probes, availability } = rig([false]);
    await clock.advance(0);
    availability.close();
    await clock.advance(600_000);
    assert.deepEqual([probes.length, clock.pending], [1, 0]);
  });
});
