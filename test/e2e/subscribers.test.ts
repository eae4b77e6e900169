/** `porchlight subscribers` against a running gateway: who is let in and stopped, at once and for good. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { type Gateway, startGateway } from '../../services/gateway/app.js';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import { makeGateway } from '../../services/gateway/init.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_TEAM } from '../../services/simulators/files.js';
import { toBase64urlBare } from '../../shared/encoding/base64url.js';
import { encodeBatch } from '../../shared/relay/batch.js';
import { PATHS } from '../../shared/relay/constants.js';
import { systemClock } from '../../shared/run/clock.js';
import { loadConfig } from '../../shared/run/config.js';
import { createLog } from '../../shared/run/log.js';
import { type CliResult, runCli } from '../support/cli.js';
import { native } from '../support/crypto.js';
import { RelayClient } from '../support/relay-client.js';

const HOST = '127.0.0.1';
const folder = mkdtempSync(join(tmpdir(), 'porchlight-subscribers-'));
after(() => rmSync(folder, { recursive: true }));

/** A key that does not look like an option. */
function identity() {
  for (;;) {
    const pair = native.ed25519KeyPair();
    if (!toBase64urlBare(pair.publicKey).startsWith('-')) return pair;
  }
}

describe('subscribers of a running gateway', () => {
  let dir: string;
  let gateway: Gateway;
  let client: RelayClient;
  let key: string;
  const logged: string[] = [];
  let made = 0;

  beforeEach(async () => {
    dir = join(folder, `${++made}`);
    const apple = { team: SIMULATED_TEAM, apnsKey: apnsFiles(folder).key, apnsKeyId: SIMULATED_KEY };
    await makeGateway({ dir, host: 'localhost', port: 8443, topic: 'org.example.messenger', ...apple });
  });
  afterEach(async () => {
    client.close();
    await gateway.close();
  });

  async function start(mode: 'open' | 'listed'): Promise<void> {
    const config = loadConfig(gatewayConfigSchema, {
      file: join(dir, 'gateway.toml'),
      prefix: 'G_',
      env: { G_LISTEN: `${HOST}:0`, G_OBSERVE_LISTEN: `${HOST}:0`, G_SUBSCRIBERS_MODE: mode },
    });
    const sink = { write: (line: string) => void logged.push(line) };
    gateway = await startGateway(config, {
      log: createLog({ service: 'gateway', level: 'debug', json: true, sink }),
    });
  }

  function connect(): void {
    const { fingerprint } = gateway;
    const certificate = readFileSync(join(dir, 'tls.crt'), 'utf8');
    const port = () => gateway.port;
    client = new RelayClient(
      { crypto: native, clock: systemClock, port, certificate, fingerprint },
      identity(),
    );
    key = toBase64urlBare(client.identity.publicKey);
  }

  const cli = (...args: string[]): Promise<CliResult> =>
    runCli({ cwd: dir }, 'subscribers', ...args, '--config', 'gateway.toml');
  const ask = async (): Promise<number> => (await client.post(PATHS.push, encodeBatch([]))).status;

  test('mode listed: let in while it runs, also after a restart, and stopped at once', async () => {
    await start('listed');
    connect();
    assert.equal(await ask(), 403);
    const added = await cli('add', key, '--name', 'a friend', '--rate', '5');
    assert.equal(added.stdout, `${key} may ask from now on\n`, added.stderr);
    assert.equal(await ask(), 200);
    await gateway.close();
    await start('listed');
    assert.equal(await ask(), 200);
    const list = (await cli('list')).stdout;
    assert.match(list, /^key +name +may ask +frames a second +requests at once +devices +from$/m);
    assert.match(list, new RegExp(`^${key} +a friend +yes +5 +- +up to 0 +added$`, 'm'));
    assert.equal((await cli('remove', key)).stdout, `${key} is off the list\n`);
    assert.equal(await ask(), 403);
    const again = await cli('remove', key);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /not on the list/);
    assert.ok(!logged.join('').includes(key));
  });

  test('mode open: one is limited, then banned, then as everybody', async () => {
    await start('open');
    connect();
    await cli('limit', key, '--rate', '1');
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    assert.deepEqual([...new Set(answers)].sort(), [200, 429]);
    await cli('limit', key, '--rate', '0');
    assert.equal(await ask(), 403);
    await cli('remove', key);
    assert.equal(await ask(), 200);
  });
});
