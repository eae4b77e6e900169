import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { z } from 'zod';
import { gatewayConfigSchema } from '../../../services/gateway/config.js';
import { subscriberConfigSchema } from '../../../services/subscriber/config.js';
import { loadConfig, printConfig } from '../../../shared/run/config.js';

const folder = mkdtempSync(join(tmpdir(), 'porchlight-printed-'));
after(() => rmSync(folder, { recursive: true }));

const GATEWAY = `
identity_key = "identity.key"
state = "state"
listen = "[::]:443"
onion_listen = "127.0.0.1:8444"
trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]
[tls]
certificate = "tls.pem"
private_key = "tls.key"
[redis]
urls = ["rediss://redis.example:6379"]
username = "porchlight"
password_file = "redis.password"
[[keys]]
name = "main"
file = "apns.p8"
key_id = "ABCDEFGHIJ"
team_id = "KLMNOPQRST"
[[apps]]
topic = "chat.example"
environments = ["production", "test"]
key = "main"
visible_text = 'a "quoted" word'
[test_environment]
url = "https://127.0.0.1:9443"
`;

const SUBSCRIBER = `
identity_key = "identity.key"
[observe]
listen = "[::1]:9700"
[smp]
socks_proxy = "127.0.0.1:9050"
isolation = "queue"
servers = [{ host = "smp.example", transport = "websocket", port = 443 }]
[[gateways]]
name = "main"
address = "porchlight-gateway://${'A'.repeat(43)}@[2001:db8::1]:9443"
[[gateways]]
name = "onion"
address = "porchlight-gateway://${'A'.repeat(43)}@abc.onion"
socks_proxy = "[::1]:9050"
[[listeners]]
name = "app"
listen = "localhost:443"
public_address = "ntf.example:443"
ca_certificate = "ca.pem"
certificate = "server.pem"
private_key = "server.key"
gateway = "main"
topic = "chat.example"
profile = "porchlight"
`;

function read<S extends z.ZodType>(schema: S, text: string): z.output<S> {
  const file = join(folder, 'config.toml');
  writeFileSync(file, text);
  return loadConfig(schema, { file, env: {}, prefix: 'P_' });
}

describe('a printed configuration', () => {
  const written: [string, z.ZodType, string, RegExp][] = [
    ['gateway', gatewayConfigSchema, GATEWAY, /^listen = "\[::\]:443"$/m],
    ['subscriber', subscriberConfigSchema, SUBSCRIBER, /^listen = "localhost:443"$/m],
  ];
  for (const [name, schema, text, address] of written) {
    test(`of the ${name} is read as the same again`, () => {
      const config = read(schema, text);
      const printed = printConfig(config);
      assert.match(printed, address);
      assert.deepEqual(read(schema, printed), config);
    });
  }
});
