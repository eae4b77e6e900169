/** The demo with two gateways that share a Redis: one is killed, then Redis, and every message is opened all the same. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cli } from '../support/cli.js';
import { needsCommand } from '../support/needs.js';
import { eventually } from '../support/world/eventually.js';

describe('demo --gateways 2', () => {
  let cwd: string;
  before(() => {
    needsCommand('redis-server', 'redis-server');
    cwd = mkdtempSync(join(tmpdir(), 'porchlight-demo-test-'));
  });
  after(() => rmSync(cwd, { recursive: true, force: true }));

  test('opens every message and leaves nothing', { timeout: 100_000 }, async () => {
    const args = ['demo', '--once', '--gateways', '2', '--messages', '4'];
    const demo = new Cli(args, { cwd, env: { TMPDIR: cwd } });
    try {
      const { code, stdout, stderr } = await demo.ended();
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /one of the gateways was killed/);
      assert.match(stdout, /Redis was killed/);
      assert.equal(stdout.trimEnd().split('\n').at(-1), 'demo: 4 of 4 messages opened by the phone');
      await eventually('no process is left', () => !demo.leftRunning);
      assert.deepEqual(readdirSync(cwd), []);
    } finally {
      demo.kill();
    }
  });

  test('without a redis-server it says what to install', async () => {
    const demo = new Cli(['demo', '--once', '--gateways', '2'], { cwd, env: { TMPDIR: cwd, PATH: cwd } });
    try {
      const { code, stderr } = await demo.ended();
      assert.notEqual(code, 0);
      assert.match(stderr, /install it: apt install redis-server/);
    } finally {
      demo.kill();
    }
  });
});
