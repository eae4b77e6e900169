/** Prometheus' own checker reads the alert rules, and every expression of the dashboard. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { commandOnPath } from '../support/needs.js';
import { root } from '../support/paths.js';

let folder: string;
let promtool: string;
before(() => {
  promtool = commandOnPath('promtool', 'prometheus');
  folder = mkdtempSync(join(tmpdir(), 'porchlight-prometheus-'));
});
after(() => folder && rmSync(folder, { recursive: true }));

const check = (file: string): string =>
  execFileSync(promtool, ['check', 'rules', file], { encoding: 'utf8' });

describe('promtool', () => {
  it('takes the alert rules', () => {
    assert.match(check(join(root, 'deploy/prometheus/porchlight.rules.yml')), /SUCCESS: \d+ rules found/);
  });

  it('takes every expression of the dashboard', () => {
    const { panels } = JSON.parse(readFileSync(join(root, 'deploy/grafana/porchlight.json'), 'utf8')) as {
      panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
    };
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const rules = expressions.map((expr, i) => ({
      record: `dashboard:${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const file = join(folder, 'dashboard.yml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    assert.match(check(file), new RegExp(`SUCCESS: ${rules.length} rules found`));
  });
});
