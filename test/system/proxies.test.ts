/** The examples of deploy/proxy in front of a gateway: signatures hold, outcomes stream, nothing but /v1 is there. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePorts } from '../../services/demo/free-ports.js';
import { createServerCertificate, toPem } from '../../shared/crypto/x509.js';
import { ANSWER_SIZE, encodeBatch } from '../../shared/relay/batch.js';
import { CONTENT_TYPE, MAX_BODY_SIZE, PATHS } from '../../shared/relay/constants.js';
import { checkStatement, currentSealingKey } from '../../shared/relay/statement.js';
import { systemClock } from '../../shared/run/clock.js';
import { native as crypto } from '../support/crypto.js';

import { startTestGateway, type TestGateway, TOPIC } from '../support/gateway.js';
import { needsCommand } from '../support/needs.js';
import { root } from '../support/paths.js';
import { RelayClient } from '../support/relay-client.js';
import { eventually } from '../support/world/eventually.js';

const HOST = '127.0.0.1';
/** The example's name in the certificate, and what the gateway's clients ask for here. */
const PUBLIC = 'push.example.org';
const GATEWAY = '127.0.0.1:8443';

let folder: string;
let gateway: TestGateway;
let certificate: string;
before(async () => {
  needsCommand('nginx', 'nginx');
  needsCommand('caddy', 'caddy');
  folder = mkdtempSync(join(tmpdir(), 'porchlight-proxies-'));
  const made = createServerCertificate({ host: 'localhost', now: new Date() });
  certificate = toPem('CERTIFICATE', made.certificate);
  writeFileSync(join(folder, 'fullchain.pem'), certificate);
  writeFileSync(join(folder, 'privkey.pem'), toPem('PRIVATE KEY', made.privateKey), { mode: 0o600 });
  const config = { tls: undefined, trusted_proxies: [HOST] };
  gateway = await startTestGateway({ crypto, clock: systemClock, config });
});
after(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The example with this machine's names in place of its own. */
const example = (name: string): string =>
  readFileSync(join(root, 'deploy/proxy', name), 'utf8').replaceAll(
    GATEWAY,
    `${HOST}:${gateway.gateway.port}`,
  );

function startNginx(port: number): ChildProcess {
  const site = example('nginx.conf')
    .replaceAll(`/etc/letsencrypt/live/${PUBLIC}`, folder)
    .replace(/^ {4}listen \[::\].*\n/m, '')
    .replace('listen 443', `listen ${HOST}:${port}`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const file = join(folder, 'nginx.conf');
  const log = `error_log ${folder}/error.log`;
  writeFileSync(file, `${user} pid ${folder}/pid; ${log}; events {} http { ${temporary}\n${site}\n}`);
  return spawn('nginx', ['-c', file, '-e', `${folder}/error.log`, '-g', 'daemon off;'], { stdio: 'ignore' });
}

function startCaddy(port: number): ChildProcess {
  const text = example('Caddyfile')
    .replace(/^\{$/m, '{\n\tadmin off\n\tauto_https disable_redirects')
    .replace(
      `${PUBLIC} {`,
      `https://localhost:${port} {\n\tbind ${HOST}\n\ttls ${folder}/fullchain.pem ${folder}/privkey.pem`,
    );
  const file = join(folder, 'Caddyfile');
  writeFileSync(file, text);
  const home = join(folder, 'caddy');
  mkdirSync(home);
  const env = { ...process.env, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home };
  return spawn('caddy', ['run', '--adapter', 'caddyfile', '--config', file], { stdio: 'ignore', env });
}

for (const [name, start] of [
  ['nginx', startNginx],
  ['Caddy', startCaddy],
] as const) {
  describe(name, () => {
    let port: number;
    let proxy: ChildProcess;
    let client: RelayClient;
    before(async () => {
      [port] = (await freePorts(1)) as [number];
      proxy = start(port);
      const { fingerprint } = gateway.gateway;
      client = new RelayClient({ crypto, clock: systemClock, port: () => port, certificate, fingerprint });
      await eventually(
        'the proxy',
        async () => (await client.statement().catch(() => undefined))?.status === 200,
      );
    });
    after(async () => {
      client.close();
      const ended = new Promise((resolve) => proxy.once('close', resolve));
      proxy.kill('SIGTERM');
      await ended;
    });

    it('hands requests on as they were signed, and each outcome as it comes', async () => {
      const { fingerprint } = gateway.gateway;
      const text = (await client.statement()).body.toString();
      const checked = checkStatement(crypto, text, { fingerprint, now: client.now });
      assert.ok('statement' in checked);
      const sealing = currentSealingKey(checked.statement, client.now)!;
      const frames = [];
      for (const device of [1, 2]) {
        const token = crypto.randomBytes(32).fill(device, 0, 1);
        const answer = await client.post(PATHS.capabilities, client.seal(sealing, TOPIC, token));
        assert.equal(answer.status, 200, answer.body.toString());
        frames.push(client.verification(answer.body.subarray(0, 256)).frame);
      }
      let release = (): void => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      gateway.apns.answer = async ({ token }) => {
        if (token[0] === 2) await held;
        return { kind: 'accepted' };
      };
      const body = encodeBatch(frames);
      let pieces = 0;
      const answer = await client.send('POST', PATHS.push, client.sign(PATHS.push, body), body, () => {
        pieces += 1;
        release(); // only an outcome that came before the end lets the other one come
      });
      assert.deepEqual([answer.status, answer.body.length, pieces], [200, 2 * ANSWER_SIZE, 2]);
    });

    it('lets nothing else in', async () => {
      for (const path of ['/', '/metrics', '/healthz', '/readyz', '/v1', '/v2/push']) {
        assert.equal((await client.send('GET', path, {})).status, 404, path);
      }
    });

    it('stops a body that is too large', async () => {
      const status = await tooLarge(port);
      // Caddy hands on what it has and breaks off; whose word comes first is a matter of time.
      assert.ok([413, 502, undefined].includes(status), String(status));
    });
  });
}

/** The answer to a body over the limit; undefined where the connection ended before it. */
function tooLarge(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const target = {
      host: HOST,
      port,
      servername: 'localhost',
      ca: certificate,
      method: 'POST',
      path: PATHS.push,
    };
    const headers = {
      host: `localhost:${port}`,
      'content-type': CONTENT_TYPE,
      'content-length': MAX_BODY_SIZE + 1,
    };
    const outgoing = request({ ...target, headers }, (incoming) => {
      incoming.resume();
      resolve(incoming.statusCode);
      outgoing.destroy();
    });
    outgoing.on('error', () => resolve(undefined));
    outgoing.end(new Uint8Array(MAX_BODY_SIZE + 1));
  });
}
