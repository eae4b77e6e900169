/** `porchlight explain` against running services. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startGateway } from '../../services/gateway/app.js';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import { makeGateway } from '../../services/gateway/init.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_TEAM } from '../../services/simulators/files.js';
import { startSubscriber } from '../../services/subscriber/app.js';
import { subscriberConfigSchema } from '../../services/subscriber/config.js';
import { makeSubscriber } from '../../services/subscriber/init.js';
import { loadConfig } from '../../shared/run/config.js';
import { silentLog } from '../../shared/run/log.js';

const HOST = '127.0.0.1';
const ANY_PORT = `${HOST}:0`;
const TOPIC = 'org.example.messenger';
const EXPLAIN = fileURLToPath(new URL('../../services/cli/commands/explain.js', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'porchlight-explain-'));
after(() => rmSync(folder, { recursive: true }));

/** What the command prints, run by a process of its own. */
async function explain(config: string): Promise<string> {
  const script = `import(${JSON.stringify(EXPLAIN)}).then((m) => m.explain({ config: ${JSON.stringify(config)} }))`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
  return stdout;
}

const dir = join(folder, 'gateway');
const apple = { team: SIMULATED_TEAM, apnsKey: apnsFiles(folder).key, apnsKeyId: SIMULATED_KEY };
const address = await makeGateway({ dir, host: HOST, port: 8443, topic: TOPIC, ...apple });

test('of a gateway: kinds and counts, how long, and no values', async (t) => {
  const file = join(dir, 'gateway.toml');
  const env = { G_LISTEN: ANY_PORT, G_OBSERVE_LISTEN: ANY_PORT };
  const config = loadConfig(gatewayConfigSchema, { file, prefix: 'G_', env });
  const gateway = await startGateway(config, { log: silentLog });
  t.after(() => gateway.close());
  const printed = await explain(file);
  assert.match(printed, /^what it holds +how many +until$/m);
  assert.match(printed, /^Apple's signing keys +1 +/m);
  assert.match(printed, /^device tokens in clear \(pushes sent\) +0 +Apple has answered$/m);
  assert.ok(!printed.includes(gateway.fingerprint));
});

test('of a subscriber', async (t) => {
  const sub = join(folder, 'subscriber');
  makeSubscriber({ dir: sub, gateway: address, host: HOST, port: 443, topic: TOPIC });
  const file = join(sub, 'subscriber.toml');
  const env = { S_LISTENERS_0_LISTEN: ANY_PORT, S_OBSERVE_LISTEN: ANY_PORT };
  const config = loadConfig(subscriberConfigSchema, { file, prefix: 'S_', env });
  const subscriber = await startSubscriber(config, { log: silentLog });
  t.after(() => subscriber.close());
  const printed = await explain(file);
  assert.match(printed, /^device tokens +0 +never kept$/m);
  assert.match(printed, /^signals: nonce and encrypted metadata +0 +/m);
});

test('of a service that does not run: says so', async () => {
  await assert.rejects(explain(join(dir, 'gateway.toml')), /no service listens there/);
});
