/** What the pages say, from metrics on virtual time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { HOP_BUCKETS, Metrics, type MetricTable } from '../../../../../shared/run/metrics.js';
import type { StatusDescription } from '../../../../../shared/run/status/description.js';
import { openStatusPages } from '../../../../../shared/run/status/pages.js';
import { type RowOf, type Status, statusSchema } from '../../../../../shared/run/status/schema.js';

const MINUTE = 60_000;
const HOSTILE = '<script>alert("x")</script>';

const tables = {
  pushes_total: { kind: 'counter', help: 'Pushes.', labels: { result: ['accepted', 'later'] } },
  devices: { kind: 'gauge', help: 'Devices.' },
  lines: { kind: 'gauge', help: 'Lines.' },
  push_seconds: { kind: 'histogram', help: 'Time.', buckets: HOP_BUCKETS },
} as const satisfies MetricTable;

const description: StatusDescription<typeof tables> = {
  service: 'gateway',
  tables,
  hops: [
    { name: 'Messaging servers', judge: () => ({ state: 'unseen', says: 'by design' }) },
    {
      name: 'Subscribers',
      judge: ({ recent }) =>
        recent({ metric: 'pushes_total' }) > 0
          ? { state: 'ok', says: 'busy' }
          : { state: 'idle', says: 'quiet' },
    },
    {
      name: 'Gateway',
      here: true,
      judge: ({ crowd }) => ({ state: 'ok', says: crowd({ metric: 'devices' }) ? 'many' : 'few' }),
    },
    {
      name: 'Apple',
      judge: ({ now }) =>
        now({ metric: 'lines' }) > 0 ? { state: 'ok', says: 'there' } : { state: 'down', says: HOSTILE },
    },
  ],
  panels: [
    {
      title: HOSTILE,
      says: HOSTILE,
      rows: [
        { kind: 'rate', label: 'Pushes', of: { metric: 'pushes_total' }, isPublic: true },
        { kind: 'latency', label: 'Time', of: 'push_seconds', isPublic: true },
        { kind: 'count', label: 'Devices', of: { metric: 'devices' } },
        { kind: 'count', label: 'Lines', of: { metric: 'lines' }, exact: true },
        { kind: 'state', label: 'Secret state', judge: () => ({ state: 'warn', says: HOSTILE }) },
        {
          kind: 'shares',
          label: 'Results',
          isPublic: true,
          parts: [
            { label: HOSTILE, state: 'ok', of: { metric: 'pushes_total', where: { result: 'accepted' } } },
            {
              label: 'Any',
              state: 'warn',
              of: { metric: 'pushes_total', where: { result: ['later', 'accepted'] } },
            },
          ],
        },
      ],
    },
  ],
};

async function open() {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const metrics = new Metrics('t_');
  const handles = metrics.add(tables);
  const state = { notReady: undefined as string | undefined };
  const pages = openStatusPages({
    clock,
    metrics,
    description,
    version: '1.2.3',
    crypto: 'native',
    notReady: () => state.notReady,
    measure: () => {},
  });
  await clock.advance(0);
  const get = async (path: string) => pages.routes.request(path);
  const json = async (path: string): Promise<Status> => statusSchema.parse(await (await get(path)).json());
  const row = async <K extends 'rate' | 'count' | 'latency' | 'shares'>(path: string, label: string) =>
    (await json(path)).panels[0]!.rows.find((r) => r.label === label) as RowOf<K>;
  /** `each` pushes a minute. */
  const run = async (minutes: number, each: number) => {
    for (let i = 0; i < minutes; i++) {
      if (each > 0) handles.pushes_total.inc({ result: 'accepted' }, each);
      for (let n = 0; n < each; n++) handles.push_seconds.observe(0.015);
      await clock.advance(MINUTE);
    }
  };
  return { clock, handles, pages, get, json, row, run, state };
}

describe('the operator’s page', () => {
  test('has rates of five minutes, quantiles of thirty, courses of both rings', async () => {
    const { row, run, pages } = await open();
    await run(90, 100);
    const rate = await row<'rate'>('/status.json', 'Pushes');
    assert.deepEqual(rate.recent, { seconds: 300, count: { about: 512 } });
    assert.deepEqual(
      rate.courses.map(({ stepSeconds, points }) => [stepSeconds, points.length, points.at(-1)]),
      [
        [60, 30, 128],
        [3_600, 48, 6_000],
      ],
    );
    assert.equal(rate.courses[1]!.points.at(-2), null);
    const { quantiles } = await row<'latency'>('/status.json', 'Time');
    assert.deepEqual(quantiles, { p50: 0.015, p95: 0.019, p99: 0.02 });
    const { parts } = await row<'shares'>('/status.json', 'Results');
    assert.deepEqual(parts[1], {
      label: 'Any',
      state: 'warn',
      recent: { about: 3_000 },
      sinceStart: { about: 9_000 },
    });
    pages.close();
  });

  test('of a household says the same whether somebody was active or nobody', async () => {
    const [quiet, active] = [await open(), await open()];
    quiet.handles.lines.set(1);
    active.handles.lines.set(1);
    quiet.handles.devices.set(0);
    active.handles.devices.set(4);
    await quiet.run(31, 0);
    for (let i = 0; i < 15; i++) await active.run(1, i % 15 === 3 ? 14 : 0);
    await active.run(16, 0);
    for (const path of ['/status.json', '/public.json']) {
      const [a, b] = [await quiet.json(path), await active.json(path)];
      assert.deepEqual({ ...b, process: null }, { ...a, process: null });
    }
    quiet.pages.close();
    active.pages.close();
  });

  test('tells what is wrong, and what is the service’s own exactly', async () => {
    const { json, row, state, handles, clock, pages } = await open();
    assert.deepEqual((await json('/status.json')).state, 'warn');
    handles.lines.set(3);
    await clock.advance(1_000);
    assert.deepEqual((await json('/status.json')).says, 'Working');
    assert.deepEqual((await row<'count'>('/status.json', 'Lines')).count, { exactly: 3 });
    state.notReady = 'apns';
    const { state: verdict, says, process } = await json('/status.json');
    assert.deepEqual([verdict, says], ['down', 'Not ready: apns']);
    assert.deepEqual([process?.version, process?.crypto, process?.uptimeSeconds], ['1.2.3', 'native', 1]);
    pages.close();
  });
});

describe('the public page', () => {
  test('has figures of an hour that has been over for an hour, in powers of two', async () => {
    const { json, row, run, pages } = await open();
    await run(119, 100);
    assert.equal((await json('/public.json')).hour, null);
    assert.equal((await row<'rate'>('/public.json', 'Pushes')).recent, null);
    await run(1, 100);
    const { hour, process } = await json('/public.json');
    assert.deepEqual(hour, { from: '2030-01-01T00:00:00.000Z', to: '2030-01-01T01:00:00.000Z' });
    assert.equal(process, null);
    assert.deepEqual((await row<'rate'>('/public.json', 'Pushes')).recent, {
      seconds: 3_600,
      count: { about: 8_192 },
    });
    await run(59, 0);
    assert.deepEqual((await json('/public.json')).hour, hour);
    pages.close();
  });

  test('leaves out states, counts of what is there, and reasons', async () => {
    const { json, state, pages } = await open();
    state.notReady = 'gateway home not reached';
    const status = await json('/public.json');
    assert.deepEqual(
      status.panels[0]!.rows.map(({ label }) => label),
      ['Pushes', 'Time', 'Results'],
    );
    assert.equal(status.says, 'Not ready: see the operator’s page');
    assert.doesNotMatch(JSON.stringify(status.hops), /script|few|many|quiet/);
    pages.close();
  });
});

describe('the documents', () => {
  test('escape everything, and carry one policy and no cookie', async () => {
    const { get, pages } = await open();
    for (const path of ['/status', '/public', '/status?refresh']) {
      const response = await get(path);
      const text = await response.text();
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type')!, /^text\/html/);
      assert.match(
        response.headers.get('content-security-policy')!,
        /^default-src 'none'; style-src 'sha256-/,
      );
      assert.doesNotMatch(response.headers.get('content-security-policy')!, /unsafe/);
      assert.equal(response.headers.get('cache-control'), 'no-store');
      assert.equal(response.headers.get('set-cookie'), null);
      assert.doesNotMatch(text, /<script|javascript:|https?:\/\/(?!www\.w3\.org)| style=/);
      assert.match(text, /&lt;script&gt;alert\(&quot;x&quot;\)/);
      assert.equal(text.includes('http-equiv="refresh"'), path.endsWith('refresh'));
      assert.ok(text.length < 60_000);
    }
    assert.equal((await get('/status.json')).headers.get('cache-control'), 'no-store');
    pages.close();
  });
});
