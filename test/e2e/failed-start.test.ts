/** A service that can't start says why and ends, whatever parts of it were running already. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { GATEWAY_FILE, makeGateway } from '../../services/gateway/init.js';

const CLI = fileURLToPath(new URL('../../services/cli/main.js', import.meta.url));

test('a port that is taken ends the process with its reason', { timeout: 20_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'porchlight-failed-start-'));
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  try {
    const { port } = taken.address() as AddressInfo;
    const dir = join(folder, 'gateway');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const apnsKey = join(folder, 'key.p8');
    writeFileSync(apnsKey, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    const ids = { team: 'ABCDEFGHIJ', apnsKey, apnsKeyId: 'ABCDEFGHIJ' };
    await makeGateway(
      { dir, host: 'localhost', port, topic: 'chat.example.app', ...ids },
      { listenHost: '127.0.0.1' },
    );
    const child = spawn(process.execPath, [CLI, 'gateway', '--config', join(dir, GATEWAY_FILE)]);
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
    const [code] = await once(child, 'close');
    clearTimeout(timer);
    assert.equal(code, 1, said);
    assert.match(said, /the address is in use by another process/);
  } finally {
    taken.close();
    rmSync(folder, { recursive: true });
  }
});
