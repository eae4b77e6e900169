/** The demo, as it is promised: it works at once, says so, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cli } from '../support/cli.js';
import { eventually } from '../support/world/eventually.js';

describe('demo', () => {
  let cwd: string;
  before(() => {
    cwd = mkdtempSync(join(tmpdir(), 'porchlight-cli-demo-'));
  });
  after(() => rmSync(cwd, { recursive: true, force: true }));

  async function leavesNothing(demo: Cli): Promise<void> {
    await eventually('no process is left', () => !demo.leftRunning);
    assert.deepEqual(readdirSync(cwd), []);
  }

  test('--once opens every message, and is gone', async () => {
    const demo = new Cli(['demo', '--once', '--messages', '2'], { cwd, env: { TMPDIR: cwd } });
    try {
      const { code, stdout, stderr } = await demo.ended();
      assert.equal(code, 0, stdout + stderr);
      assert.equal(stdout.trimEnd().split('\n').at(-1), 'demo: 2 of 2 messages opened by the phone');
      await leavesNothing(demo);
    } finally {
      demo.kill();
    }
  });

  test('a signal in the middle of it ends everybody', async () => {
    const demo = new Cli(['demo'], { cwd, env: { TMPDIR: cwd } });
    try {
      await eventually('a first message', () => /opened/.test(demo.stdout));
      const { code, stderr } = await demo.stop('SIGINT');
      assert.equal(code, 0, stderr);
      await leavesNothing(demo);
    } finally {
      demo.kill();
    }
  });
});
