import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gatewayConfigSchema } from '../../../../services/gateway/config.js';
import { printConfig } from '../../../../shared/run/config.js';

const key = { name: 'main', file: 'apns.p8', key_id: 'ABCDEFGHIJ', team_id: 'KLMNOPQRST' };
const app = { topic: 'chat.example', key: 'main' };
const least = { identity_key: 'identity.key', state: 'state', keys: [key], apps: [app] };

const redis = (...urls: string[]) => ({ redis: { urls } });

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
    ['a Redis without a server', redis(), 'redis.urls'],
    ['a password in a URL', redis('redis://:secret@localhost'), 'redis.urls.0'],
    ['a name in a URL', redis('rediss://me@localhost'), 'redis.urls.0'],
    ['another kind of server', redis('http://localhost'), 'redis.urls.0'],
    ['a database in a URL', redis('redis://localhost/3'), 'redis.urls.0'],
    ['no URL', redis('localhost:6379'), 'redis.urls.0'],
    ['TLS to some servers of a cluster', redis('redis://a', 'rediss://b'), 'redis.urls'],
    [
      'several servers that are no cluster',
      { redis: { ...redis('redis://a', 'redis://b').redis, mode: 'single' } },
      'redis.urls',
    ],
    [
      'a cluster on a Unix socket',
      { redis: { ...redis('unix:/run/redis').redis, mode: 'cluster' } },
      'redis.urls',
    ],
    ['an authority without TLS', { redis: { ...redis('redis://a').redis, ca_file: 'ca' } }, 'redis.ca_file'],
    [
      'a user without a password',
      { redis: { ...redis('redis://a').redis, username: 'me' } },
      'redis.password_file',
    ],
    ['a prefix with a brace', { redis: { ...redis('redis://a').redis, prefix: 'a{b}' } }, 'redis.prefix'],
    ['no gateway', { redis: { ...redis('redis://a').redis, gateways: 0 } }, 'redis.gateways'],
    ['a topic with a slash', { apps: [{ ...app, topic: 'a/b' }] }, 'apps.0.topic'],
  ];
  for (const [what, changes, path] of wrong) {
    test(`refuses ${what}`, () => assert.deepEqual(problems(changes), [path]));
  }

  for (const url of ['redis://localhost', 'rediss://[::1]:6380', 'unix:/run/redis/redis.sock']) {
    test(`takes ${url}`, () => assert.deepEqual(problems(redis(url)), []));
  }

  test('says why a password is not taken, and not what it is', () => {
    const result = gatewayConfigSchema.safeParse({ ...least, ...redis('redis://:hunter2@localhost') });
    const [issue] = result.error!.issues;
    assert.match(issue!.message, /process lists, logs.*password_file/);
    assert.ok(!issue!.message.includes('hunter2'));
  });

  test('is printed with the name of the password file, never with a password', () => {
    const table = { ...redis('redis://a').redis, username: 'me', password_file: '/etc/redis.password' };
    const text = printConfig(gatewayConfigSchema.parse({ ...least, redis: table }));
    assert.match(text, /password_file = "\/etc\/redis.password"/);
    assert.match(
      printConfig({ password: 'hunter2', file_password: 'hunter2' }),
      /^(\w+ = "\[redacted\]"\n?)+$/,
    );
  });
});
