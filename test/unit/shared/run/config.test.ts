import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { z } from 'zod';
import { subscriberConfigSchema } from '../../../../services/subscriber/config.js';
import { ConfigError, loadConfig, printConfig, variables } from '../../../../shared/run/config.js';

const folder = mkdtempSync(join(tmpdir(), 'porchlight-config-'));
after(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(content: string): string {
  const path = join(folder, `${files++}.toml`);
  writeFileSync(path, content);
  return path;
}

const schema = z.strictObject({
  listen_address: z.string().default('127.0.0.1:1'),
  rate: z.strictObject({ per_minute: z.int().min(1).default(60), burst: z.int().default(5) }).prefault({}),
  peers: z.array(z.strictObject({ name: z.string(), on: z.boolean().default(true) })).default([]),
  networks: z.array(z.string()).default([]),
});
const load = (content: string, env: Record<string, string> = {}) =>
  loadConfig(schema, { file: file(content), env, prefix: 'PORCH_' });

function problems(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return assert.fail('accepted');
}

describe('configuration', () => {
  test('defaults, file and environment are laid over each other in this order', () => {
    const config = load('listen_address = "0.0.0.0:9"\n[rate]\nburst = 7\n[[peers]]\nname = "a"', {
      PORCH_RATE_BURST: '8',
      PORCH_PEERS_0_ON: 'false',
      PORCH_PEERS_1_NAME: 'b',
      PORCH_NETWORKS: '10.0.0.0/8, ::1/128',
      OTHER: 'ignored',
    });
    assert.deepEqual(config, {
      listen_address: '0.0.0.0:9',
      rate: { per_minute: 60, burst: 8 },
      peers: [
        { name: 'a', on: false },
        { name: 'b', on: true },
      ],
      networks: ['10.0.0.0/8', '::1/128'],
    });
  });

  test('every problem is one line naming the key, and never quotes a value', () => {
    const found = problems(() =>
      load('listen_adress = "hunter2"\n[rate]\nper_minute = "hunter2"\nbrust = 1'),
    );
    assert.deepEqual(found, [
      'rate.per_minute: expected number, received string',
      'rate.brust: unknown key; did you mean burst?',
      'listen_adress: unknown key; did you mean listen_address?',
    ]);
  });

  test('an unknown or mistyped variable is refused', () => {
    assert.deepEqual(
      problems(() => load('', { PORCH_RATE_BRUST: '1' })),
      ['PORCH_RATE_BRUST: unknown variable; did you mean PORCH_RATE_BURST?'],
    );
    assert.deepEqual(
      problems(() => load('', { PORCH_RATE_BURST: 'many' })),
      ['rate.burst: expected number, received NaN'],
    );
    assert.deepEqual(
      problems(() => load('', { PORCH_PEERS_0_ON: 'yes' })),
      ['peers.0.name: expected string; it is missing', 'peers.0.on: expected boolean, received string'],
    );
  });

  test('a file that is not TOML is refused by place, without its text', () => {
    const path = file('a = 1\npassword = hunter2');
    assert.deepEqual(
      problems(() => loadConfig(schema, { file: path, env: {}, prefix: 'PORCH_' })),
      [`${path}: not valid TOML at line 2, column 12`],
    );
    const missing = join(folder, 'none.toml');
    assert.deepEqual(
      problems(() => loadConfig(schema, { file: missing, env: {}, prefix: 'PORCH_' })),
      [`${missing}: no such file; "porchlight init" makes one, --config names another`],
    );
  });

  test('printing shows everything but credentials', () => {
    const text = printConfig({
      redis: { url: 'redis://me:hunter2@host/1', password: 'hunter2' },
      a: [1],
      b: undefined,
    });
    assert.ok(!text.includes('hunter2'));
    assert.match(text, /url = "redis:\/\/\[redacted\]@host\/1"/);
  });

  test('every key of the subscriber is a variable, and names between listeners and gateways are checked', () => {
    const names = variables(subscriberConfigSchema, 'P_');
    assert.ok(names.includes('P_LISTENERS_0_PRIVATE_KEY') && names.includes('P_SMP_ALLOW_NETWORKS'));
    const fingerprint = 'A'.repeat(43);
    const env: Record<string, string> = {
      P_IDENTITY_KEY: 'k',
      P_GATEWAYS_0_NAME: 'main',
      P_GATEWAYS_0_ADDRESS: `porchlight-gateway://${fingerprint}@gw.example`,
      P_LISTENERS_0_NAME: 'app',
      P_LISTENERS_0_LISTEN: '[::]:443',
      P_LISTENERS_0_CA_CERTIFICATE: 'a',
      P_LISTENERS_0_CERTIFICATE: 'b',
      P_LISTENERS_0_PRIVATE_KEY: 'c',
      P_LISTENERS_0_GATEWAY: 'main',
      P_LISTENERS_0_TOPIC: 'app.example',
    };
    const config = loadConfig(subscriberConfigSchema, { env, prefix: 'P_' });
    assert.deepEqual(config.gateways[0]?.address, { fingerprint, host: 'gw.example', port: 443 });
    assert.deepEqual(config.listeners[0]?.listen, { host: '::', port: 443 });
    assert.deepEqual(
      problems(() =>
        loadConfig(subscriberConfigSchema, { env: { ...env, P_LISTENERS_0_GATEWAY: 'mian' }, prefix: 'P_' }),
      ),
      ['listeners.0.gateway: expected the name of one of the gateways'],
    );
    assert.match(
      problems(() =>
        loadConfig(subscriberConfigSchema, {
          env: { ...env, P_GATEWAYS_0_ADDRESS: 'https://gw' },
          prefix: 'P_',
        }),
      )[0]!,
      /^gateways\.0\.address: expected porchlight-gateway:/,
    );
  });
});
