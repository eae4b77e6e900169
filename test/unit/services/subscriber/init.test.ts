/** The folder that `porchlight init subscriber` makes. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { subscriberConfigSchema } from '../../../../services/subscriber/config.js';
import { makeSubscriber, SUBSCRIBER_FILE } from '../../../../services/subscriber/init.js';
import { loadServiceIdentity } from '../../../../services/subscriber/sources/smp/service-identity.js';
import { toBase64urlBare } from '../../../../shared/encoding/base64url.js';
import { formatGatewayAddress } from '../../../../shared/relay/identity.js';
import { ConfigError, loadConfig } from '../../../../shared/run/config.js';
import { native as crypto } from '../../../support/crypto.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A new folder, for a gateway at this host. */
function folder(host = 'g.example'): { file: string } {
  const dir = mkdtempSync(join(tmpdir(), 'subscriber-'));
  folders.push(dir);
  const fingerprint = toBase64urlBare(new Uint8Array(32).fill(7));
  const gateway = formatGatewayAddress({ fingerprint, host, port: 443 });
  makeSubscriber({ dir, gateway, host: 'localhost', port: 443, topic: 'app' });
  return { file: join(dir, SUBSCRIBER_FILE) };
}

/** The configuration of a new folder with these lines no longer comments. */
function made(...uncommented: readonly string[]) {
  const { file } = folder();
  let text = readFileSync(file, 'utf8');
  for (const key of uncommented) {
    assert.ok(text.includes(`\n# ${key} = `), key);
    text = text.replace(`\n# ${key} = `, `\n${key} = `);
  }
  writeFileSync(file, text);
  return loadConfig(subscriberConfigSchema, { file, prefix: 'S_', env: {} });
}

test('sessions are ordinary ones, unless the service certificate that lies ready is named', () => {
  assert.equal(made().smp.service_certificate, undefined);
  const file = made('service_certificate').smp.service_certificate;
  assert.equal(loadServiceIdentity(crypto, file!).chain.length, 1);
});

test('the ways through a proxy, as the template shows them', () => {
  const { smp, gateways } = made('socks_proxy', 'isolation');
  assert.deepEqual(smp.socks_proxy, { host: '127.0.0.1', port: 9050 });
  assert.equal(smp.isolation, 'shared');
  assert.equal(gateways[0]!.socks_proxy, undefined);
});

test('a server by WebSocket, as the template shows it', () => {
  const { file } = folder();
  const text = readFileSync(file, 'utf8');
  const [table] = text.match(/\n# \[\[smp\.servers\]\]\n(?:# .*\n)+/)!;
  writeFileSync(file, text.replace(table, table.replaceAll('\n# ', '\n')));
  const { servers } = loadConfig(subscriberConfigSchema, { file, prefix: 'S_', env: {} }).smp;
  assert.deepEqual(servers, [{ host: 'smp.example.org', transport: 'websocket', port: 443 }]);
});

const REFUSED: [what: string, env: Record<string, string>][] = [
  ['smp.isolation', { S_SMP_ISOLATION: 'device' }],
  [
    'smp.service_certificate',
    { S_SMP_ISOLATION: 'queue', S_SMP_SOCKS_PROXY: '127.0.0.1:9050', S_SMP_SERVICE_CERTIFICATE: 'a.pem' },
  ],
  ['smp.socks_proxy', { S_SMP_SOCKS_PROXY: 'tor' }],
];
for (const [key, env] of REFUSED) {
  test(`${key} is refused where it does not go with the rest`, () => {
    const { file } = folder();
    assert.throws(
      () => loadConfig(subscriberConfigSchema, { file, prefix: 'S_', env }),
      (error) => error instanceof ConfigError && error.message.includes(key),
    );
  });
}

test('an onion gateway needs a proxy', () => {
  const { file } = folder('x.onion');
  const load = (env: Record<string, string>) =>
    loadConfig(subscriberConfigSchema, { file, prefix: 'S_', env }).gateways[0]!.socks_proxy;
  assert.throws(() => load({}), ConfigError);
  assert.deepEqual(load({ S_GATEWAYS_0_SOCKS_PROXY: '[::1]:9050' }), { host: '::1', port: 9050 });
});
