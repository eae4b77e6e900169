import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jointMetrics, linkMetrics } from '../../../../../services/subscriber/outbound/metrics.js';
import { countedMetrics } from '../../../../support/metrics.js';

test('gauges of several gateways show what holds for all of them', () => {
  const { handles, count } = countedMetrics(linkMetrics);
  const next = jointMetrics(handles);
  const [one, other] = [next(), next()];
  one.link_available.set(1);
  assert.equal(count('link_available'), 0, 'the other was not found yet');
  other.link_available.set(1);
  assert.equal(count('link_available'), 1);
  one.link_available.set(0);
  other.link_available.set(1);
  assert.equal(count('link_available'), 0);
  one.link_waiting_frames.set(5);
  other.link_waiting_frames.set(0);
  one.link_open_requests.set(1);
  other.link_open_requests.set(2);
  assert.deepEqual([count('link_waiting_frames'), count('link_open_requests')], [5, 3]);
  one.link_clock_offset_seconds.set(-90);
  other.link_clock_offset_seconds.set(3);
  assert.equal(count('link_clock_offset_seconds'), -90);
  other.link_probes_total.inc({ result: 'ok' });
  assert.equal(count('link_probes_total', 'ok'), 1);
});
