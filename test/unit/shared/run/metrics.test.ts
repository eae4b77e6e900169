import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Metrics } from '../../../../shared/run/metrics.js';

const table = {
  sent_total: { kind: 'counter', help: 'Sent.', labels: { kind: ['a', 'b', 'c'], outcome: ['good', 'bad'] } },
  lost_total: { kind: 'counter', help: 'Lost: one \\ and\nanother.' },
  held: { kind: 'gauge', help: 'Held.', labels: { where: ['here', 'there'] } },
  wait_seconds: { kind: 'histogram', help: 'Times.', buckets: [0.01, 1] },
  hop_seconds: { kind: 'histogram', help: 'Times.', buckets: [1], labels: { hop: ['in', 'out'] } },
} as const;

const fresh = () => {
  const metrics = new Metrics('t_');
  return { metrics, ...metrics.add(table) };
};

const lines = async (metrics: Metrics, start: string): Promise<string[]> =>
  (await metrics.text()).split('\n').filter((line) => line.startsWith(start));

describe('metrics', () => {
  test('each combination of labels counts by itself, and is there once it was used', async () => {
    const { metrics, sent_total } = fresh();
    assert.deepEqual(await lines(metrics, 't_sent'), []);
    for (const [i, kind] of table.sent_total.labels.kind.entries()) {
      for (const [j, outcome] of table.sent_total.labels.outcome.entries()) {
        sent_total.inc({ outcome, kind }, 1 + 10 * i + j);
      }
    }
    sent_total.inc({ kind: 'b', outcome: 'bad' });
    assert.deepEqual((await lines(metrics, 't_sent')).sort(), [
      't_sent_total{kind="a",outcome="bad"} 2',
      't_sent_total{kind="a",outcome="good"} 1',
      't_sent_total{kind="b",outcome="bad"} 13',
      't_sent_total{kind="b",outcome="good"} 11',
      't_sent_total{kind="c",outcome="bad"} 22',
      't_sent_total{kind="c",outcome="good"} 21',
    ]);
  });

  test('without labels a metric is there from the start', async () => {
    const { metrics, lost_total } = fresh();
    assert.deepEqual(await lines(metrics, 't_lost'), ['t_lost_total 0']);
    lost_total.inc();
    lost_total.inc(2.5);
    assert.deepEqual(await lines(metrics, 't_lost'), ['t_lost_total 3.5']);
  });

  test('a gauge is what was set last', async () => {
    const { metrics, held } = fresh();
    held.set({ where: 'here' }, 7);
    held.set({ where: 'there' }, 4);
    held.set({ where: 'here' }, 1);
    assert.deepEqual(await lines(metrics, 't_held'), ['t_held{where="here"} 1', 't_held{where="there"} 4']);
    assert.deepEqual([...(await metrics.gauges())], [['held', 5]]);
  });

  test('buckets count all that is not above their bound', async () => {
    const { metrics, wait_seconds, hop_seconds } = fresh();
    for (const seconds of [0.002, 0.01, 0.5, 1, 1.5, 60]) wait_seconds.observe(seconds);
    assert.deepEqual(await lines(metrics, 't_wait'), [
      't_wait_seconds_bucket{le="0.01"} 2',
      't_wait_seconds_bucket{le="1"} 4',
      't_wait_seconds_bucket{le="+Inf"} 6',
      't_wait_seconds_sum 63.012',
      't_wait_seconds_count 6',
    ]);
    hop_seconds.observe({ hop: 'out' }, 0.5);
    assert.deepEqual(await lines(metrics, 't_hop'), [
      't_hop_seconds_bucket{le="1",hop="out"} 1',
      't_hop_seconds_bucket{le="+Inf",hop="out"} 1',
      't_hop_seconds_sum{hop="out"} 0.5',
      't_hop_seconds_count{hop="out"} 1',
    ]);
  });

  test('refuses a name twice, a value outside of its set, a counter that falls', async () => {
    const { metrics, sent_total, lost_total } = fresh();
    assert.throws(() => metrics.add({ held: { kind: 'gauge', help: '' } }));
    assert.throws(() => sent_total.inc({ kind: 'd' as 'a', outcome: 'good' }), RangeError);
    assert.throws(() => lost_total.inc(-1), RangeError);
    assert.deepEqual(await lines(metrics, 't_sent'), []);
    assert.deepEqual(await lines(metrics, 't_lost'), ['t_lost_total 0']);
  });
});
