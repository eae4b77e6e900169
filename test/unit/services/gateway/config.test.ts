import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gatewayConfigSchema } from '../../../../services/gateway/config.js';

const key = { name: 'main', file: 'apns.p8', key_id: 'ABCDEFGHIJ', team_id: 'KLMNOPQRST' };
const app = { topic: 'chat.example', key: 'main' };
const least = { identity_key: 'identity.key', state: 'state', keys: [key], apps: [app] };

const problems = (changes: object): string[] => {
  const result = gatewayConfigSchema.safeParse({ ...least, ...changes });
  return result.success ? [] : result.error.issues.map((issue) => issue.path.join('.'));
};

describe('configuration', () => {
  test('four keys are enough', () => {
    const config = gatewayConfigSchema.parse(least);
    assert.deepEqual(config.listen, { host: '0.0.0.0', port: 8443 });
    assert.deepEqual(config.observe.listen, { host: '127.0.0.1', port: 9601 });
    assert.deepEqual(config.apps[0]?.environments, ['production', 'sandbox']);
    assert.equal(config.subscribers.mode, 'open');
  });

  const wrong: [string, object, string][] = [
    ['an unknown key', { limit: {} }, ''],
    ['an unknown key deep inside', { limits: { device: 1 } }, 'limits'],
    ['a listener without a port', { listen: '0.0.0.0' }, 'listen'],
    ['no app', { apps: [] }, 'apps'],
    ['an app with an unknown key', { apps: [{ ...app, key: 'other' }] }, 'apps.0.key'],
    ['one topic twice', { apps: [app, app] }, 'apps'],
    ['one name twice', { keys: [key, key] }, 'keys'],
    [
      'the test environment without its table',
      { apps: [{ ...app, environments: ['test'] }] },
      'apps.0.environments',
    ],
    ['a limit of zero', { limits: { devices: 0 } }, 'limits.devices'],
    ['a proxy that is no address', { trusted_proxies: ['10.0.0.0/40'] }, 'trusted_proxies.0'],
    ['a key that is none', { subscribers: { keys: ['AAAA'] } }, 'subscribers.keys.0'],
    ['a test service in clear', { test_environment: { url: 'http://localhost' } }, 'test_environment.url'],
    ['a topic with a slash', { apps: [{ ...app, topic: 'a/b' }] }, 'apps.0.topic'],
  ];
  for (const [what, changes, path] of wrong) {
    test(`refuses ${what}`, () => assert.deepEqual(problems(changes), [path]));
  }
});
