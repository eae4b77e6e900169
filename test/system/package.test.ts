/** What npm would publish, installed in an empty folder, does the main job; also where no native libsodium exists. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { root } from '../support/paths.js';

const run = promisify(execFile);

let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'porchlight-package-'));
  const packed = await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], {
    cwd: root,
  });
  await run('npm', [
    'install',
    '--prefix',
    folder,
    '--no-audit',
    '--no-fund',
    join(folder, packed.stdout.trim()),
  ]);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const porchlight = (...args: string[]) => run(join(folder, 'node_modules/.bin/porchlight'), args);

describe('the package', () => {
  it('brings the executable and nothing of the tests', async () => {
    assert.match((await porchlight('--version')).stdout, /^\d+\.\d+\.\d+\n$/);
    const { stdout } = await run('ls', [join(folder, 'node_modules/porchlight/dist')]);
    assert.deepEqual(stdout.trim().split('\n'), ['services', 'shared']);
  });

  it('runs the demo', async () => {
    const { stdout } = await porchlight('demo', '--once', '--messages', '1');
    assert.match(stdout, /\ndemo: 1 of 1 messages opened by the phone\n$/);
  });

  it('runs the demo on WebAssembly where there is no native libsodium', async () => {
    rmSync(join(folder, 'node_modules/sodium-native'), { recursive: true });
    const { stdout } = await porchlight('demo', '--once', '--messages', '1');
    assert.match(stdout, /\ndemo: 1 of 1 messages opened by the phone\n$/);
  });
});
