/** The executable: what it says, writes, refuses, and how it ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cli, type CliResult, EXECUTABLE, runCli } from '../support/cli.js';
import { root } from '../support/paths.js';
import { filesBelow, keysIn, secretsIn } from '../support/secret-search.js';

const ANY_PORT = '127.0.0.1:0';
const GATEWAY_PORTS = { PORCHLIGHT_GATEWAY_LISTEN: ANY_PORT, PORCHLIGHT_GATEWAY_OBSERVE_LISTEN: ANY_PORT };
const SUBSCRIBER_PORTS = {
  PORCHLIGHT_SUBSCRIBER_LISTENERS_0_LISTEN: ANY_PORT,
  PORCHLIGHT_SUBSCRIBER_OBSERVE_LISTEN: ANY_PORT,
};
const APPLE = ['--team', 'TEAM000001', '--apns-key', 'apple.p8', '--apns-key-id', 'KEY0000001'];
const ADDRESS = /porchlight-gateway:\/\/[A-Za-z0-9_-]{43}@gateway\.example:9443/;

describe('porchlight', () => {
  let cwd: string;
  /** What `init` printed. */
  let gateway: CliResult;
  let subscriber: CliResult;

  before(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'porchlight-cli-'));
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    writeFileSync(join(cwd, 'apple.p8'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
    gateway = await run(
      'init',
      'gateway',
      '--dir',
      'g',
      '--host',
      'gateway.example',
      '--port',
      '9443',
      ...APPLE,
    );
    const address = ADDRESS.exec(gateway.stdout)?.[0] ?? '';
    subscriber = await run(
      'init',
      'subscriber',
      '--dir',
      's',
      '--gateway',
      address,
      '--host',
      'home.example',
    );
  });
  after(() => rmSync(cwd, { recursive: true, force: true }));

  const run = (...args: string[]): Promise<CliResult> => runCli({ cwd }, ...args);
  const modes = (folder: string) =>
    Object.fromEntries(
      readdirSync(join(cwd, folder)).map((name) => [
        name,
        (statSync(join(cwd, folder, name)).mode & 0o777).toString(8),
      ]),
    );
  const mode = (folder: string) => (statSync(join(cwd, folder)).mode & 0o777).toString(8);

  /** The private keys of both services. */
  const keys = () => keysIn(filesBelow(cwd));

  test('--help names every command, --version is that of the package', async () => {
    const [help, version, nothing] = await Promise.all([run('--help'), run('--version'), run('nonsense')]);
    assert.equal(help.code, 0);
    for (const name of ['demo', 'init', 'gateway', 'subscriber', 'simulate'])
      assert.match(help.stdout, new RegExp(name));
    const { version: expected } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      version: string;
    };
    assert.deepEqual([version.code, version.stdout], [0, `${expected}\n`]);
    assert.notEqual(nothing.code, 0);
    assert.match(nothing.stderr, /unknown command/);
  });

  test('init gateway: a folder of its own, secrets for its owner only, an address to hand on', () => {
    assert.equal(gateway.code, 0, gateway.stderr);
    assert.match(gateway.stdout, ADDRESS);
    assert.equal(mode('g'), '700');
    assert.deepEqual(modes('g'), {
      'apns.p8': '600',
      'gateway.toml': '644',
      'identity.key': '600',
      state: '700',
      'tls.crt': '644',
      'tls.key': '600',
    });
  });

  test('init subscriber: likewise', () => {
    assert.equal(subscriber.code, 0, subscriber.stderr);
    assert.match(subscriber.stdout, /ntf:\/\/[A-Za-z0-9_-]{43}=?@home\.example\n/);
    assert.equal(mode('s'), '700');
    assert.deepEqual(modes('s'), {
      'ca.crt': '644',
      'ca.key': '600',
      'identity.key': '600',
      'server.crt': '644',
      'server.key': '600',
      'service.pem': '600',
      'subscriber.toml': '644',
    });
  });

  test('init overwrites nothing', async () => {
    const before = filesBelow(cwd);
    const address = ADDRESS.exec(gateway.stdout)![0];
    const again = await Promise.all([
      run('init', 'gateway', '--dir', 'g'),
      run('init', 'subscriber', '--dir', 's', '--gateway', address),
    ]);
    for (const { code, stderr } of again) {
      assert.equal(code, 2);
      assert.match(stderr, /exists already/);
    }
    assert.deepEqual(filesBelow(cwd), before);
  });

  test('init subscriber refuses a gateway without a fingerprint, and writes nothing', async () => {
    for (const address of [
      'https://gateway.example',
      'porchlight-gateway://gateway.example',
      'gateway.example:9443',
    ]) {
      const { code, stderr } = await run('init', 'subscriber', '--dir', 'refused', '--gateway', address);
      assert.equal(code, 2, address);
      assert.match(stderr, /FINGERPRINT/);
    }
    assert.equal(readdirSync(cwd).includes('refused'), false);
  });

  test('--check-config prints a good configuration, and no secret of the files that it names', async () => {
    for (const [name, folder] of [
      ['gateway', 'g'],
      ['subscriber', 's'],
    ] as const) {
      const { code, stdout, stderr } = await run(
        name,
        '--config',
        `${folder}/${name}.toml`,
        '--check-config',
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, /identity_key = /);
      assert.deepEqual(secretsIn(stdout + stderr, keys()), []);
    }
  });

  test('--check-config of a bad one: one line per problem, without the values', async () => {
    const good = readFileSync(join(cwd, 'g/gateway.toml'), 'utf8');
    const secret = 'hunter2hunter2hunter2';
    const bad = good
      .replace(/^listen = .*$/m, `listen = "${secret}"`)
      .replace(/^key_id = .*$/m, `key_id = "${secret}"`)
      .replace('[observe]', `[observ]\npassword = "${secret}"\n[observe]`);
    writeFileSync(join(cwd, 'bad.toml'), bad);
    const { code, stdout, stderr } = await run('gateway', '--config', 'bad.toml', '--check-config');
    const lines = stderr.trimEnd().split('\n');
    assert.deepEqual([code, stdout, lines.length], [2, '', 3], stderr);
    for (const problem of [/listen.*HOST:PORT/, /key_id.*10 of A-Z/, /observ.*observe/]) {
      assert.ok(
        lines.some((line) => problem.test(line)),
        `${problem} in ${stderr}`,
      );
    }
    assert.ok(!stderr.includes(secret));
  });

  test('--check-config and the start name every file that can not be used, and why', async () => {
    await run('init', 'gateway', '--dir', 'spoilt', '--team', 'ABCDE12345', '--apns-key-id', 'ABCDE12345');
    chmodSync(join(cwd, 'spoilt/identity.key'), 0o644);
    rmSync(join(cwd, 'spoilt/tls.crt'));
    writeFileSync(join(cwd, 'spoilt/apns.p8'), 'hunter2', { mode: 0o600 });
    const toml = join(cwd, 'spoilt/gateway.toml');
    const long = `visible_text = "${'x'.repeat(180)}"`;
    writeFileSync(toml, readFileSync(toml, 'utf8').replace(/^visible_text = .*$/m, long));
    for (const more of [['--check-config'], []]) {
      const { code, stderr } = await run('gateway', '--config', 'spoilt/gateway.toml', ...more);
      const problems = stderr.split('\n').filter((line) => line.startsWith('porchlight: '));
      assert.deepEqual([code, problems.length], [2, 4], stderr);
      assert.match(problems[0]!, /identity_key: .*mode 644.*chmod 600/);
      assert.match(problems[1]!, /tls: .*tls\.crt: no such file/);
      assert.match(problems[2]!, /keys\.0\.file: .*apns\.p8: not a private key/);
      assert.match(problems[3]!, /apps\.0: a push would have 4\d{3} bytes.*shorten visible_text/);
      assert.ok(!stderr.includes('hunter2'));
    }
    rmSync(join(cwd, 'spoilt'), { recursive: true });
  });

  test('--burn destroys the epoch that it names, and says which there are', async () => {
    const burn = (epoch: string) => run('gateway', '--config', 'burnt/gateway.toml', '--burn', epoch);
    await run('init', 'gateway', '--dir', 'burnt', '--team', 'ABCDE12345', '--apns-key-id', 'ABCDE12345');
    assert.match((await burn('deadbeef')).stderr, /there is no epoch/);
    const root = join(cwd, 'burnt/state/epochs/0badcafe.key');
    writeFileSync(root, new Uint8Array(45), { mode: 0o600 });
    assert.match((await burn('deadbeef')).stderr, /no such epoch; there are 0badcafe/);
    const { code, stdout } = await burn('0badcafe');
    assert.deepEqual([code, existsSync(root)], [0, false]);
    assert.match(stdout, /epoch 0badcafe destroyed/);
    rmSync(join(cwd, 'burnt'), { recursive: true });
  });

  test('a configuration that is missing, is no TOML, or wants an unknown variable', async () => {
    writeFileSync(join(cwd, 'broken.toml'), 'identity_key = "hunter2\n');
    const file = 's/subscriber.toml';
    const env = { PORCHLIGHT_SUBSCRIBER_LOG_LEVLE: 'hunter2' };
    const results = await Promise.all([
      run('gateway', '--config', 'missing.toml'),
      run('gateway', '--config', 'broken.toml'),
      runCli({ cwd, env }, 'subscriber', '--config', file, '--check-config'),
    ]);
    for (const { code, stderr } of results) {
      assert.equal(code, 2, stderr);
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
      assert.ok(!stderr.includes('hunter2'));
    }
    assert.match(results[2]!.stderr, /LOG_LEVEL/);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // The status says it was in time: after 4.5 seconds a service gives up and ends with 1.
    test(`${signal} ends every service in order`, async () => {
      const simulate = (kind: string) => [
        'simulate',
        kind,
        '--dir',
        `${signal} ${kind}`,
        '--port',
        '0',
        '--control-port',
        '0',
      ];
      const env = { ...GATEWAY_PORTS, ...SUBSCRIBER_PORTS };
      const running = [
        ['gateway', '--config', 'g/gateway.toml'],
        ['subscriber', '--config', 's/subscriber.toml'],
        simulate('apns'),
        simulate('smp'),
      ].map((args) => new Cli(args, { cwd, env }));
      try {
        await Promise.all(running.map((cli) => cli.ready()));
        const results = await Promise.all(running.map((cli) => cli.stop(signal)));
        for (const { code, stderr } of results) assert.equal(code, 0, stderr);
        for (const { stderr } of results) assert.deepEqual(secretsIn(stderr, keys()), []);
      } finally {
        for (const cli of running) cli.kill();
      }
    });
  }
});

test('who closes the output early gets no stack', async () => {
  const doctor = spawn(process.execPath, [EXECUTABLE, 'doctor', 'gateway', '--config', 'none.toml']);
  doctor.stdout.destroy(); // long before the first line
  let stderr = '';
  doctor.stderr.on('data', (text) => {
    stderr += text;
  });
  await once(doctor, 'close');
  assert.equal(stderr, '');
});
