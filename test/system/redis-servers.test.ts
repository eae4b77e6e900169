/** Kinds of Redis: a cluster of three, TLS with a user and a password, a Unix socket. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { examineRedis } from '../../services/gateway/doctor/redis.js';
import { redisSection } from '../../services/gateway/redis/config.js';
import { createServerCertificate, toPem } from '../../shared/crypto/x509.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { describeGate, drain, goes, pass, someDevice } from '../support/frame-gate.js';
import { startCounting, stateFolder } from '../support/redis-gate.js';
import { RedisServer } from '../support/redis-server.js';
import { eventually } from '../support/world/eventually.js';

const TIMEOUT_MS = 3_000;
const SLOTS = 16_384;

/** Three servers that have divided the slots among them. */
async function startCluster(): Promise<RedisServer[]> {
  const servers: RedisServer[] = [];
  for (let n = 0; n < 3; n++) {
    servers.push(
      await RedisServer.start(
        '--cluster-enabled',
        'yes',
        '--cluster-config-file',
        'nodes.conf',
        '--cluster-node-timeout',
        '2000',
      ),
    );
  }
  for (const [n, server] of servers.entries()) {
    const [from, to] = [Math.ceil((n * SLOTS) / 3), Math.ceil(((n + 1) * SLOTS) / 3) - 1];
    await server.command('CLUSTER', 'ADDSLOTSRANGE', `${from}`, `${to}`);
    const { port, busPort } = servers[0]!;
    if (n > 0) await server.command('CLUSTER', 'MEET', '127.0.0.1', `${port}`, `${busPort}`);
  }
  await eventually('a cluster', async () => {
    const infos = await Promise.all(servers.map((server) => server.command('CLUSTER', 'INFO')));
    return infos.every((info) => /cluster_state:ok/.test(String(info)) && /known_nodes:3/.test(String(info)));
  });
  return servers;
}

describeGate('in a cluster of three', async () => {
  const servers = await startCluster();
  const state = stateFolder();
  const redis = { urls: [servers[0]!.url], mode: 'cluster', timeout_ms: TIMEOUT_MS };
  const counting = await startCounting({ state: state.path, redis });
  return {
    gate: counting.gate,
    advance: (ms) => sleep(systemClock, ms),
    async close() {
      const sizes = await Promise.all(servers.map((server) => server.command('DBSIZE')));
      assert.ok(
        sizes.every((size) => Number(size) > 50),
        `each has its part: ${sizes}`,
      );
      await counting.close();
      await Promise.all(servers.map((server) => server.close()));
      state.remove();
    },
  };
});

test('a server of a cluster dies: all devices are counted alone, and together when it is back', async (t) => {
  const servers = await startCluster();
  const state = stateFolder();
  t.after(async () => {
    await Promise.all(servers.map((server) => server.close()));
    state.remove();
  });
  const redis = { urls: servers.map(({ url }) => url), timeout_ms: 300 };
  const counting = await startCounting({ state: state.path, redis });
  t.after(() => counting.close());
  const isShared = async () => /^test_shared_limits_state 1$/m.test(await counting.metrics.text());
  await eventually('shared', isShared);
  await servers[1]!.kill();
  await eventually('alone', async () => {
    const answers = await Promise.all(
      Array.from({ length: 32 }, () => pass(counting.gate, someDevice(), 'check')),
    );
    assert.ok(answers.every(goes));
    return !(await isShared());
  });
  await servers[1]!.start();
  await eventually('shared again', isShared);
  await eventually('together', async () => (await drain(counting.gate, someDevice(), 'check')).n === 4);
});

describe('a Redis that asks who comes', () => {
  /** What the README tells operators to allow. */
  const ACL = [
    '~porchlight:*',
    '&porchlight:*',
    '-@all',
    '+evalsha',
    '+eval',
    '+get',
    '+mget',
    '+set',
    '+pexpire',
    '+time',
    '+zadd',
    '+zrangebyscore',
    '+zremrangebyscore',
    '+zremrangebyrank',
    '+expire',
  ];

  async function startSecured() {
    const password = randomBytes(16).toString('hex');
    const made = createServerCertificate({ host: 'redis.internal', now: new Date() });
    const state = stateFolder();
    const file = (name: string, content: string): string => {
      writeFileSync(join(state.path, name), content, { mode: 0o600 });
      return join(state.path, name);
    };
    const ca = toPem('CERTIFICATE', made.certificate);
    const [cert, key] = [file('redis.crt', ca), file('redis.key', toPem('PRIVATE KEY', made.privateKey))];
    const acl = file('users.acl', `user default off\nuser gateway on >${password} ${ACL.join(' ')}\n`);
    const tls = ['--tls-port', 'PORT', '--port', '0', '--tls-cert-file', cert, '--tls-key-file', key];
    const server = await RedisServer.start(...tls, '--tls-auth-clients', 'no', '--aclfile', acl);
    return { password, state, ca, server };
  }

  test('TLS with a user and a password; not with another password, name or authority', async () => {
    const { password, state, ca, server } = await startSecured();
    const table = {
      urls: [`rediss://127.0.0.1:${server.port}`],
      username: 'gateway',
      password_file: 'as read',
      ca_file: 'as read',
      server_name: 'redis.internal',
      timeout_ms: TIMEOUT_MS,
    };
    const [together, alone] = [4, 2];
    const attempt = async (changes: { redis?: object; password?: string; ca?: string }) => {
      const redis = { ...table, ...changes.redis };
      const counting = await startCounting({
        state: state.path,
        redis,
        password,
        ca,
        ...(changes.password !== undefined && { password: changes.password }),
        ...(changes.ca !== undefined && { ca: changes.ca }),
      });
      const { n } = await drain(counting.gate, someDevice(), 'check');
      await counting.revocations!.start(() => {});
      assert.equal(counting.revocations!.readable, n === together);
      await counting.revocations!.close();
      await counting.close();
      return n;
    };
    assert.equal(await attempt({}), together);
    assert.equal(await attempt({ password: 'another' }), alone);
    assert.equal(await attempt({ redis: { server_name: 'elsewhere.internal' } }), alone);
    const other = createServerCertificate({ host: 'redis.internal', now: new Date() });
    assert.equal(await attempt({ ca: toPem('CERTIFICATE', other.certificate) }), alone);
    await server.close();
    state.remove();
  });
});

test('a Unix socket', async () => {
  const state = stateFolder();
  const path = join(state.path, 'redis.sock');
  const server = await RedisServer.start('--unixsocket', path);
  const counting = await startCounting({
    state: state.path,
    redis: { urls: [`unix:${path}`], timeout_ms: TIMEOUT_MS },
  });
  assert.equal((await drain(counting.gate, someDevice(), 'check')).n, 4);
  await counting.close();
  await server.close();
  state.remove();
});

test('the doctor sees whether Redis is there, and lets this gateway in', async (t) => {
  const server = await RedisServer.start();
  t.after(() => server.close());
  const look = (url: string, password?: string) => {
    const redis = redisSection.parse({ urls: [url], timeout_ms: TIMEOUT_MS });
    return examineRedis(redis, { password, ca: undefined }, systemClock);
  };
  const { state, detail } = await look(server.url);
  assert.deepEqual([state, detail], ['ok', 'answers, and takes keys']);
  const closed = await RedisServer.start('--requirepass', 'right');
  t.after(() => closed.close());
  assert.match((await look(closed.url, 'wrong')).fix!, /password_file/);
  assert.equal((await look(closed.url, 'right')).state, 'ok');
});
