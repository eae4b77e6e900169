/** The gateway's doctor against the simulator: each thing that may be wrong is named, with what to do about it. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { freePorts } from '../../services/demo/free-ports.js';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import { examineGateway } from '../../services/gateway/doctor/examine.js';
import { descriptorsFinding } from '../../services/gateway/doctor/machine.js';
import { verdictOn } from '../../services/gateway/doctor/verdicts.js';
import { GATEWAY_FILE, makeGateway } from '../../services/gateway/init.js';
import { type ApnsSimulator, startApnsSimulator } from '../../services/simulators/apns/server.js';
import { createServerCertificate, toPem } from '../../shared/crypto/x509.js';
import { type Clock, systemClock } from '../../shared/run/clock.js';
import { ConfigError, loadConfig } from '../../shared/run/config.js';
import { doctorStatus, type Finding } from '../../shared/run/doctor.js';
import { writeSecretFile } from '../../shared/run/files.js';
import { runCli } from '../support/cli.js';
import { native as crypto } from '../support/crypto.js';

const TEAM = 'TEAM000001';
const KEY = 'KEY0000001';
const TOPIC = 'chat.example.app';
const HOUR_MS = 3_600_000;

let folder: string;
let simulator: ApnsSimulator;
let file: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'porchlight-doctor-'));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeSecretFile(join(folder, 'apple.p8'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
});
after(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(async () => {
  const publicKey = createPublicKey(readFileSync(join(folder, 'apple.p8')));
  simulator = await startApnsSimulator({
    clock: systemClock,
    environments: { test: {} },
    teams: [{ teamId: TEAM, topics: [TOPIC], keys: [{ keyId: KEY, publicKey }] }],
  });
  await made(simulator.ports.test!);
});
afterEach(async () => {
  await simulator.close();
  rmSync(join(folder, 'gateway'), { recursive: true, force: true });
});

/** A gateway's folder as `init` makes it; its environment is the simulator's port of this machine. */
async function made(port: number): Promise<void> {
  const dir = join(folder, 'gateway');
  rmSync(dir, { recursive: true, force: true });
  const caFile = join(folder, 'ca.crt');
  writeFileSync(caFile, simulator.ca);
  const apple = { team: TEAM, apnsKey: join(folder, 'apple.p8'), apnsKeyId: KEY };
  const test = { url: `https://127.0.0.1:${port}`, caFile };
  await makeGateway({ dir, host: 'gateway.example', port: 8443, topic: TOPIC, ...apple }, { test });
  file = join(dir, GATEWAY_FILE);
}

/** Replaces in the configuration. */
const edit = (from: string | RegExp, to: string): void => {
  const text = readFileSync(file, 'utf8');
  assert.match(text, from instanceof RegExp ? from : new RegExp(from));
  writeFileSync(file, text.replace(from, to));
};

async function findings(more: { clock?: Clock; host?: string } = {}): Promise<Finding[]> {
  const config = loadConfig(gatewayConfigSchema, { file, env: {}, prefix: 'P_' });
  assert.ok(config.apps.every(({ environments }) => environments.join() === 'test')); // loopback only
  const found: Finding[] = [];
  for await (const finding of examineGateway(config, { crypto, clock: systemClock, ...more })) {
    found.push(finding);
  }
  for (const { state, fix, name } of found) assert.equal(fix === undefined, state === 'ok', name);
  return found;
}

const named = (found: readonly Finding[], name: string): Finding => {
  const finding = found.find((one) => one.name === name);
  assert.ok(finding, `${name} in ${found.map((one) => one.name).join()}`);
  return finding;
};

/** Only differs in what it says the time is. */
const shifted = (ms: number): Clock => ({
  now: () => systemClock.now() + ms,
  monotonic: () => systemClock.monotonic(),
  after: (wait, run) => systemClock.after(wait, run),
});

const PUSH = `test, ${TOPIC}: push`;
const CLOCK = `test, ${TOPIC}: clock`;

describe('doctor gateway', () => {
  test('all in order: Apple knows key, team and topic, for it refuses only the token', async () => {
    const found = await findings({ host: 'gateway.example' });
    assert.deepEqual(
      found.map(({ name, state }) => [name, state]),
      [
        ['configuration and files', 'ok'],
        ['certificate: dates', 'ok'],
        ['certificate: chain', 'ok'],
        ['certificate: host', 'ok'],
        ['state folder', 'ok'],
        ['state: epochs', 'ok'],
        ['state: sealing', 'ok'],
        ['descriptors', named(found, 'descriptors').state],
        ['test: name', 'ok'],
        ['test: TLS', 'ok'],
        [PUSH, 'ok'],
        [CLOCK, 'ok'],
      ],
    );
    assert.match(named(found, PUSH).detail, /^400 BadDeviceToken: key, team and topic are taken$/);
    assert.match(named(found, 'test: TLS').detail, /TLSv1\.3, HTTP\/2/);
    assert.equal(doctorStatus(found), 0);
  });

  const WRONG: [what: string, from: string | RegExp, to: string, detail: RegExp, fix: RegExp][] = [
    ['key id', `"${KEY}"`, '"KEY0000002"', /403 InvalidProviderToken/, /keys\.N\.key_id/],
    ['team', `"${TEAM}"`, '"TEAM000002"', /403 InvalidProviderToken/, /keys\.N\.team_id/],
    ['topic', `topic = "${TOPIC}"`, 'topic = "chat.example.other"', /400 TopicDisallowed/, /apps\.N\.topic/],
  ];
  for (const [what, from, to, detail, fix] of WRONG) {
    test(`the wrong ${what}`, async () => {
      edit(from, to);
      const found = (await findings()).filter(({ name }) => name.endsWith(': push'));
      assert.deepEqual([found.length, found[0]!.state], [1, 'failed']);
      assert.match(found[0]!.detail, detail);
      assert.match(found[0]!.fix!, fix);
    });
  }

  test('a clock that is two hours behind: Apple says it, and so does the time of its answer', async () => {
    const found = await findings({ clock: shifted(-2 * HOUR_MS) });
    assert.match(named(found, PUSH).detail, /403 ExpiredProviderToken/);
    assert.match(named(found, PUSH).fix!, /set the clock/);
    assert.equal(named(found, CLOCK).state, 'failed');
    assert.match(named(found, CLOCK).detail, /^(7199|7200|7201) s behind$/);
  });

  test('a clock that is ten minutes off is a warning', async () => {
    const found = await findings({ clock: shifted(-600_000) });
    assert.deepEqual([named(found, PUSH).state, named(found, CLOCK).state], ['ok', 'warning']);
  });

  for (const [status, reason, state] of [
    [403, 'BadEnvironmentKeyIdInToken', 'failed'],
    [429, 'TooManyProviderTokenUpdates', 'warning'],
    [503, 'ServiceUnavailable', 'warning'],
    [400, 'hunter2', 'failed'],
  ] as const) {
    test(`${status} ${reason} is ${state}`, async () => {
      simulator.script.add({ on: 'push', fault: { answer: { status, reason } } });
      const found = named(await findings(), PUSH);
      assert.equal(found.state, state);
      assert.ok(!found.detail.includes('hunter2') && found.fix !== undefined);
    });
  }

  test('a connection that is cut before the answer', async () => {
    simulator.script.add({ on: 'push', fault: { cut: true } });
    assert.match(named(await findings(), PUSH).detail, /ended before an answer/);
  });

  test('nobody listens there: no push is tried', async () => {
    await simulator.close();
    const found = await findings();
    assert.match(named(found, 'test: TCP').detail, /ECONNREFUSED/);
    assert.equal(named(found, PUSH).state, 'skipped');
    assert.equal(doctorStatus(found), 1);
  });

  test('another answers in its place', async () => {
    const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      await made((other.address() as { port: number }).port);
      assert.equal(named(await findings(), 'test: TLS').state, 'failed');
    } finally {
      other.close();
    }
  });

  test('a certificate authority that is not the one', async () => {
    const made = createServerCertificate({ host: 'localhost', now: new Date() });
    writeFileSync(join(folder, 'ca.crt'), toPem('CERTIFICATE', made.certificate));
    const found = named(await findings(), 'test: TLS');
    assert.match(found.detail, /SELF_SIGNED|UNABLE_TO|DEPTH_ZERO/);
    assert.match(found.fix!, /ca_file/);
  });

  test("the gateway's own certificate: near its end, over, not begun, for another name", async () => {
    const DAY_MS = 86_400_000;
    const dates = async (ms: number) => named(await findings({ clock: shifted(ms) }), 'certificate: dates');
    const left = Number(/^(\d+) days left/.exec((await dates(0)).detail)![1]);
    assert.equal((await dates((left - 5) * DAY_MS)).state, 'warning');
    assert.equal((await dates((left + 5) * DAY_MS)).state, 'failed');
    assert.match((await dates(-30 * DAY_MS)).detail, /not valid yet/);
    const host = named(await findings({ host: 'other.example' }), 'certificate: host');
    assert.deepEqual([host.state, host.detail], ['failed', 'is not for other.example']);
  });

  test('plain HTTP is for loopback', async () => {
    edit(/\[tls\][\s\S]*?\[observe\]/, '[observe]');
    edit(/^listen = "0\.0\.0\.0:8443"/m, 'listen = "127.0.0.1:8443"');
    assert.equal(named(await findings(), 'certificate').state, 'ok');
    edit('127.0.0.1:8443', '0.0.0.0:8443');
    assert.equal(named(await findings(), 'certificate').state, 'failed');
  });

  test('the state folder and its keys', async () => {
    const state = join(folder, 'gateway/state');
    chmodSync(state, 0o755);
    assert.match(named(await findings(), 'state folder').fix!, /chmod 700/);
    chmodSync(state, 0o700);
    mkdirSync(join(state, 'epochs'), { mode: 0o700 });
    writeFileSync(join(state, 'epochs/0badcafe.key'), 'x', { mode: 0o644 });
    assert.equal(named(await findings(), 'state: epochs').state, 'failed');
    rmSync(state, { recursive: true });
    assert.match(named(await findings(), 'state folder').detail, /made at the first start/);
  });

  test('Redis, where nobody is', async () => {
    const [port] = await freePorts(1);
    edit(/$/, `\n[redis]\nurls = ["redis://127.0.0.1:${port}"]\n`);
    const { state, detail, fix } = named(await findings(), 'redis');
    assert.deepEqual([state, detail], ['failed', 'no connection: not there, or it refuses this gateway']);
    assert.match(fix!, /redis\.urls/);
  });

  test('a key that others may read ends it', async () => {
    chmodSync(join(folder, 'gateway/apns.p8'), 0o644);
    await assert.rejects(findings(), ConfigError);
    const { code, stdout } = await runCli({ cwd: folder }, 'doctor', 'gateway', '--config', file);
    assert.equal(code, 1);
    assert.match(stdout, /configuration and files +failed +keys\.0\.file: .*mode 644[\s\S]*correct it/);
  });

  test('the command prints it', async () => {
    const { code, stdout, stderr } = await runCli({ cwd: folder }, 'doctor', 'gateway', '--config', file);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /400 BadDeviceToken: key, team and topic are taken/);
  });
});

test('too few descriptors for the connections', () => {
  const config = { limits: { connections: 10_000 } } as Parameters<typeof descriptorsFinding>[0];
  const limits = (hard: string) =>
    `Max open files            1024                 ${hard}              files\n`;
  const states = ['1024', '10100', 'unlimited'].map((hard) => descriptorsFinding(config, limits(hard)).state);
  assert.deepEqual(states, ['warning', 'ok', 'ok']);
  assert.equal(descriptorsFinding(config, '').state, 'skipped');
});

test('200 and unknown words', () => {
  assert.equal(verdictOn(200, undefined).state, 'ok');
  assert.equal(verdictOn(500, 'Later').state, 'warning');
  assert.equal(verdictOn(418, undefined).state, 'failed');
});
