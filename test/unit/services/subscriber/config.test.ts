import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { subscriberConfigSchema } from '../../../../services/subscriber/config.js';
import { loadConfig } from '../../../../shared/run/config.js';

const gateway = { name: 'main', address: `porchlight-gateway://${'A'.repeat(43)}@gateway.example` };
const listener = {
  name: 'phones',
  listen: '0.0.0.0:443',
  ca_certificate: 'ca.crt',
  certificate: 'server.crt',
  private_key: 'server.key',
  gateway: 'main',
  topic: 'chat.example',
};
const parse = (changes: object) =>
  subscriberConfigSchema.safeParse({
    identity_key: 'identity.key',
    gateways: [gateway],
    listeners: [{ ...listener, ...changes }],
  });
const styleOf = (changes: object) => {
  const { profile, mode, coalesce_ms, delay_ms, ...rest } = parse(changes).data!.listeners[0]!;
  return [profile, mode, rest.class, coalesce_ms, delay_ms];
};

test('devices in the test environment have budgets unless a suite wants none', () => {
  const parsed = (limits: object) =>
    subscriberConfigSchema.safeParse({
      identity_key: 'identity.key',
      gateways: [gateway],
      listeners: [listener],
      limits,
    }).data?.limits.test_device_budgets;
  assert.deepEqual([parsed({}), parsed({ test_device_budgets: false })], [true, false]);
});

describe('a listener', () => {
  test('is for stock apps unless it says otherwise', () => {
    assert.deepEqual(styleOf({}), ['simplex', 'mutable', 'message', 0, 0]);
  });

  test('in profile porchlight gathers signals for a second, unless it says otherwise', () => {
    assert.deepEqual(styleOf({ profile: 'porchlight' }), ['porchlight', 'mutable', 'message', 1000, 0]);
    assert.equal(styleOf({ profile: 'porchlight', coalesce_ms: 0 })[3], 0);
    assert.equal(styleOf({ coalesce_ms: 300_000 })[3], 300_000);
  });

  test('takes each mode and class', () => {
    for (const mode of ['mutable', 'background', 'alert']) assert.equal(styleOf({ mode })[1], mode);
    assert.equal(styleOf({ class: 'update' })[2], 'update');
  });

  const wrong: [string, object][] = [
    ['profile', { profile: 'signal' }],
    ['mode', { mode: 'loud' }],
    ['class', { class: 'call' }],
    ['coalesce_ms', { coalesce_ms: 300_001 }],
    ['delay_ms', { delay_ms: 300_001 }],
    ['delay_ms', { delay_ms: -1 }],
    ['', { delay: 1 }],
  ];
  for (const [key, changes] of wrong) {
    test(`refuses ${JSON.stringify(changes)}`, () => {
      const path = ['listeners', 0, ...(key === '' ? [] : [key])];
      assert.deepEqual(
        parse(changes).error?.issues.map((issue) => issue.path),
        [path],
      );
    });
  }

  test('its keys are environment variables too', () => {
    const env = Object.entries({
      IDENTITY_KEY: 'identity.key',
      ...prefixed('GATEWAYS_0_', gateway),
      ...prefixed('LISTENERS_0_', { ...listener, profile: 'porchlight', coalesce_ms: '5', delay_ms: '7' }),
    }).map(([name, value]) => [`P_${name}`, value]);
    const config = loadConfig(subscriberConfigSchema, { env: Object.fromEntries(env), prefix: 'P_' });
    const { coalesce_ms, delay_ms } = config.listeners[0]!;
    assert.deepEqual([coalesce_ms, delay_ms], [5, 7]);
  });
});

describe('canaries', () => {
  const at = (host: string) => `smp://${'A'.repeat(43)}=@${host}`;
  const problems = (smp: object) =>
    subscriberConfigSchema
      .safeParse({ identity_key: 'identity.key', smp, gateways: [gateway], listeners: [listener] })
      .error?.issues.map((issue) => issue.path.join('.'));

  test('are named by the addresses of their servers, several hosts and a port too', () => {
    const canaries = [at('smp.example'), at('smp.example,b.onion:5224')];
    assert.equal(problems({ canaries, canary_minutes: 1 }), undefined);
  });

  const wrong: [string, object][] = [
    ['smp.canaries.0', { canaries: ['smp.example'] }],
    ['smp.canaries.0', { canaries: ['smp://AAAA@smp.example'] }],
    ['smp.canaries.0', { canaries: [`ntf://${'A'.repeat(43)}=@smp.example`] }],
    ['smp.canaries', { canaries: [at('smp.example'), at('smp.example')] }],
    ['smp.canaries', { canaries: Array.from({ length: 33 }, (_, n) => at(`smp${n}.example`)) }],
    ['smp.canary_minutes', { canary_minutes: 0 }],
  ];
  for (const [path, smp] of wrong) {
    test(`refused: ${JSON.stringify(smp).slice(0, 60)}`, () => assert.deepEqual(problems(smp), [path]));
  }
});

const prefixed = (prefix: string, values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [prefix + key.toUpperCase(), value]));
