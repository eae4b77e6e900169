/** Guide, alert rules and dashboard speak of metrics and labels that exist, and of nothing else. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { unknownIn } from '../../support/metric-tables.js';
import { adviceIn, renewed } from '../../support/metrics-guide.js';
import { root } from '../../support/paths.js';

const GUIDE = join(root, 'deploy/guides/metrics.md');
const RULES = join(root, 'deploy/prometheus/porchlight.rules.yml');
const DASHBOARD = join(root, 'deploy/grafana/porchlight.json');

describe('the guide to metrics', () => {
  test('says what the tables say (UPDATE=1 writes it anew)', () => {
    const guide = readFileSync(GUIDE, 'utf8');
    if (process.env.UPDATE === '1') writeFileSync(GUIDE, renewed(guide));
    else assert.equal(guide, renewed(guide));
  });

  test('says of every metric what to do', () => {
    const silent = [...adviceIn(readFileSync(GUIDE, 'utf8'))].filter(([, advice]) => advice.length < 3);
    assert.deepEqual(silent, []);
  });
});

describe('alert rules', () => {
  const text = readFileSync(RULES, 'utf8');
  /** One rule: from its name to the next one. */
  const rules = text.split(/^ {6}- alert: /m).slice(1);

  test('each has an expression of known metrics, a time, a severity, and says what to do', () => {
    assert.ok(rules.length >= 12);
    for (const rule of rules) {
      assert.match(
        rule,
        /^Porchlight[A-Za-z]+\n {8}expr: \S.*\n {8}for: \d+[mh]\n {8}labels: \{ severity: (page|ticket) \}\n/,
      );
      assert.match(rule, /^ {10}summary: \S/m);
      assert.match(rule, /^ {10}action: \S/m);
      assert.deepEqual(unknownIn(/expr: (.*)/.exec(rule)![1]!), []);
    }
    assert.equal(new Set(rules.map((rule) => rule.split('\n')[0])).size, rules.length);
  });
});

describe('the dashboard', () => {
  interface Panel {
    readonly title: string;
    readonly type: string;
    readonly description?: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets?: readonly { readonly expr: string }[];
  }
  const { panels, uid } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { panels: Panel[]; uid: string };
  const drawn = panels.filter(({ type }) => type !== 'row');

  test('asks for known metrics and labels only', () => {
    assert.equal(uid, 'porchlight');
    assert.ok(drawn.length >= 16);
    for (const { title, targets = [] } of drawn) {
      assert.ok(targets.length > 0, title);
      for (const { expr } of targets) assert.deepEqual(unknownIn(expr), [], title);
    }
  });

  test('has both services, and panels that do not overlap', () => {
    const all = drawn.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join(' ');
    for (const service of ['gateway', 'subscriber']) assert.match(all, new RegExp(`porchlight_${service}_`));
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    assert.equal(new Set(cells).size, cells.length);
    assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
  });
});

test('what is not in the tables is found', () => {
  assert.deepEqual(unknownIn('rate(porchlight_gateway_apns_pushes_total{result="accepted"}[5m])'), []);
  assert.deepEqual(unknownIn('sum by (le) (rate(porchlight_gateway_frame_seconds_bucket[5m]))'), []);
  assert.deepEqual(unknownIn('porchlight_gateway_nothing > 0'), ['porchlight_gateway_nothing']);
  assert.deepEqual(unknownIn('porchlight_gateway_frame_seconds'), ['porchlight_gateway_frame_seconds']);
  assert.deepEqual(unknownIn('porchlight_gateway_apns_pushes_total{result=~"accepted|lost"}'), [
    'porchlight_gateway_apns_pushes_total{result="lost"}',
  ]);
  assert.deepEqual(unknownIn('porchlight_gateway_connections{device="x"}'), [
    'porchlight_gateway_connections{device}',
  ]);
  assert.deepEqual(unknownIn('sum by (topic) (porchlight_gateway_connections)'), ['topic']);
});
