/** Services as processes: what is in their memory stays there, and no variable of the environment carries a key. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import { subscriberConfigSchema } from '../../services/subscriber/config.js';
import { loadConfig, variables } from '../../shared/run/config.js';
import { EXECUTABLE, runCli } from '../support/cli.js';
import { eventually } from '../support/world/eventually.js';

const ANY_PORT = '127.0.0.1:0';
const PORTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  gateway: { PORCHLIGHT_GATEWAY_LISTEN: ANY_PORT, PORCHLIGHT_GATEWAY_OBSERVE_LISTEN: ANY_PORT },
  subscriber: {
    PORCHLIGHT_SUBSCRIBER_LISTENERS_0_LISTEN: ANY_PORT,
    PORCHLIGHT_SUBSCRIBER_OBSERVE_LISTEN: ANY_PORT,
  },
};
const SERVICES = ['gateway', 'subscriber'] as const;

let cwd: string;
before(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'porchlight-hardening-'));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileSync(join(cwd, 'apple.p8'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const apple = ['--team', 'TEAM000001', '--apns-key', 'apple.p8', '--apns-key-id', 'KEY0000001'];
  const made = await runCli({ cwd }, 'init', 'gateway', '--dir', 'gateway', '--host', 'localhost', ...apple);
  const address = /porchlight-gateway:\S+/.exec(made.stdout)![0];
  const subscriber = ['--dir', 'subscriber', '--host', 'localhost', '--gateway', address];
  await runCli({ cwd }, 'init', 'subscriber', ...subscriber);
});
after(() => rmSync(cwd, { recursive: true, force: true }));

const configOf = (name: string): string => `${name}/${name}.toml`;

/** Runs a service under a core limit, has it looked at when it is ready, and returns what it said. */
async function look(name: string, coreLimit: string, at: (pid: number) => Promise<void>): Promise<string> {
  const script = `ulimit -c ${coreLimit} && exec "$0" "$@"`;
  const args = ['-c', script, process.execPath, EXECUTABLE, name, '--config', configOf(name)];
  const child = spawn('/bin/sh', args, { cwd, env: { ...process.env, ...PORTS[name] } });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  try {
    await eventually('ready', () => {
      if (child.exitCode !== null) throw new Error(`ended: ${said}`);
      return /: ready$/m.test(said);
    });
    await at(child.pid!);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
  return said;
}

/** The kernel refuses a higher limit than the parent's: then this one's own must do. */
const hardLimit = /^Max core file size\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];

describe('memory', () => {
  for (const name of SERVICES) {
    test(`${name}: a core would be empty, a limit above 0 is warned of, the inspector stays closed`, async () => {
      const said = await look(name, hardLimit === '0' ? '0' : '1', async (pid) => {
        assert.match(readFileSync(`/proc/${pid}/coredump_filter`, 'latin1'), /^0+\n$/);
        process.kill(pid, 'SIGUSR1');
        await eventually('noticed', () =>
          readFileSync(`/proc/${pid}/status`, 'latin1').includes('State:\tS'),
        );
      });
      assert.doesNotMatch(said, /Debugger|inspector/i);
      assert.equal(/core dumps are not off: set LimitCORE=0.* name=core limit/.test(said), hardLimit !== '0');
    });
  }

  test('a limit of 0 needs no words', async () => {
    assert.doesNotMatch(await look('gateway', '0', async () => {}), /core/);
  });

  test('no service starts with a switch that shows its memory, however it is given', async () => {
    for (const name of SERVICES) {
      const env = { NODE_OPTIONS: '--report-on-signal --enable-source-maps' };
      const { code, stderr } = await runCli({ cwd, env }, name, '--config', configOf(name));
      assert.deepEqual([code, /^porchlight: --report-on-signal: shows/m.test(stderr)], [2, true], stderr);
    }
  });
});

describe('a start is refused where others could read', () => {
  const SECRETS = {
    gateway: { identity_key: 'identity.key', tls: 'tls.key', 'keys.0.file': 'apns.p8' },
    subscriber: {
      identity_key: 'identity.key',
      'listeners.0': 'server.key',
      'smp.service_certificate': 'service.pem',
    },
  } as const;
  const CERTIFICATE = 'PORCHLIGHT_SUBSCRIBER_SMP_SERVICE_CERTIFICATE';

  for (const name of SERVICES) {
    for (const [key, file] of Object.entries(SECRETS[name])) {
      test(`${name}: ${key}`, async () => {
        const path = join(cwd, name, file);
        const env = { ...PORTS[name], [CERTIFICATE]: join(cwd, 'subscriber/service.pem') };
        chmodSync(path, 0o640);
        const { code, stderr } = await runCli({ cwd, env }, name, '--config', configOf(name));
        chmodSync(path, 0o600);
        const said = new RegExp(
          `^porchlight: ${key.replaceAll('.', '\\.')}: .*${file}: mode 640 lets others read`,
          'm',
        );
        assert.deepEqual([code, said.test(stderr)], [2, true], stderr);
      });
    }
  }

  test('gateway: its state folder, and a key that it made in it', async () => {
    const run = () => runCli({ cwd, env: PORTS.gateway! }, 'gateway', '--config', configOf('gateway'));
    const state = join(cwd, 'gateway/state');
    chmodSync(state, 0o750);
    const open = await run();
    chmodSync(state, 0o700);
    assert.deepEqual([open.code, /mode 750 lets others in/.test(open.stderr)], [2, true], open.stderr);
    const tagKey = join(state, 'device-tag.key');
    writeFileSync(tagKey, new Uint8Array(32));
    chmodSync(tagKey, 0o644);
    const key = await run();
    chmodSync(tagKey, 0o600);
    assert.deepEqual([key.code, /device-tag\.key: mode 644/.test(key.stderr)], [2, true], key.stderr);
  });
});

describe('no variable carries what a key file holds', () => {
  const FILES = /(?:IDENTITY_KEY|PRIVATE_KEY|_FILE|STATE|CERTIFICATE)$/;
  const KEY = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const forms = {
    PEM: KEY,
    'PEM in one line': KEY.replaceAll('\n', ''),
    'two lines': 'correct horse battery\nstaple correct horse battery',
  };

  for (const [name, schema] of [
    ['gateway', gatewayConfigSchema],
    ['subscriber', subscriberConfigSchema],
  ] as const) {
    const prefix = `PORCHLIGHT_${name.toUpperCase()}_`;
    const files = variables(schema, prefix).filter((variable) => FILES.test(variable));

    test(`${name}: every variable that names a file refuses it, and repeats nothing of it`, () => {
      assert.ok(files.length >= 5, files.join());
      for (const variable of files) {
        for (const [form, value] of Object.entries(forms)) {
          const load = () =>
            loadConfig(schema, { file: join(cwd, configOf(name)), prefix, env: { [variable]: value } });
          assert.throws(load, ({ message }: Error) => {
            assert.match(message, /expected the path of a file/, `${variable}, ${form}`);
            return !message.includes(value.slice(-40, -10));
          });
        }
      }
    });
  }

  test('nor is there a variable for one', () => {
    for (const schema of [gatewayConfigSchema, subscriberConfigSchema]) {
      const secret = variables(schema, '').filter((variable) =>
        /SECRET|PASSWORD(?!_FILE)|TOKEN|SEED|PEM/.test(variable),
      );
      assert.deepEqual(secret, []);
    }
  });
});
