import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Samples } from '../../../../services/demo/metrics-text.js';
import { Metrics } from '../../../../shared/run/metrics.js';

const table = {
  frames_total: { kind: 'counter', help: 'Frames.', labels: { kind: ['a', 'b'], outcome: ['good', 'bad'] } },
  hop_seconds: { kind: 'histogram', help: 'Times.', buckets: [0.001, 0.01, 0.1] },
  never_seconds: { kind: 'histogram', help: 'Nothing.', buckets: [1] },
} as const;

async function samples(): Promise<Samples> {
  const metrics = new Metrics('test_');
  const handles = metrics.add(table);
  handles.frames_total.inc({ kind: 'a', outcome: 'good' }, 3);
  handles.frames_total.inc({ kind: 'b', outcome: 'good' });
  handles.frames_total.inc({ kind: 'b', outcome: 'bad' });
  for (const seconds of [0.0005, 0.005, 0.006, 5]) handles.hop_seconds.observe(seconds);
  return new Samples([await metrics.text()]);
}

test('sums of what our own metrics print, whole, by label, of a label', async () => {
  const read = await samples();
  assert.equal(read.sum('test_frames_total'), 5);
  assert.equal(read.sum('test_frames_total', { outcome: 'good' }), 4);
  assert.equal(read.sum('test_frames_total', { kind: 'b', outcome: 'bad' }), 1);
  assert.equal(read.sum('test_other_total'), 0);
  assert.deepEqual(
    [...read.by('test_frames_total', 'kind')],
    [
      ['a', 3],
      ['b', 2],
    ],
  );
});

test('quantiles are the bounds of buckets', async () => {
  const read = await samples();
  assert.equal(read.quantile('test_hop_seconds', 0.25), 0.001);
  assert.equal(read.quantile('test_hop_seconds', 0.5), 0.01);
  assert.equal(read.quantile('test_hop_seconds', 0.95), Number.POSITIVE_INFINITY);
  assert.equal(read.quantile('test_never_seconds', 0.5), undefined);
});
