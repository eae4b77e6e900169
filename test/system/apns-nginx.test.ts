/**
 * The APNs engine before HTTP/2 of other people: nginx, which counts streams, closes connections after so many requests
 * and hands bodies on only when they are whole. Each push has its result, and none is lost.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePorts } from '../../services/demo/free-ports.js';
import { createApnsEngine } from '../../services/gateway/apns/create.js';
import type { ApnsEngine } from '../../services/gateway/apns/engine.js';
import { apnsMetrics } from '../../services/gateway/apns/metrics.js';
import { createServerCertificate, toPem } from '../../shared/crypto/x509.js';
import { toHex } from '../../shared/encoding/bytes.js';
import { systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import { crypto, KEY, push, signingKey, TEAM, TOPIC } from '../support/apns/setup.js';
import { needsCommand } from '../support/needs.js';
import { eventually } from '../support/world/eventually.js';

const HOST = '127.0.0.1';
const PUSHES = 2_000;
const BODY = Buffer.alloc(4_096, 'x');

let folder: string;
let certificate: string;
/** Behind nginx: paths whose body was there whole. */
let backend: Server;
const arrived = new Set<string>();
before(async () => {
  needsCommand('nginx', 'nginx');
  folder = mkdtempSync(join(tmpdir(), 'porchlight-apns-nginx-'));
  const made = createServerCertificate({ host: 'localhost', now: new Date() });
  certificate = toPem('CERTIFICATE', made.certificate);
  writeFileSync(join(folder, 'cert.pem'), certificate);
  writeFileSync(join(folder, 'key.pem'), toPem('PRIVATE KEY', made.privateKey), { mode: 0o600 });
  backend = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (Buffer.concat(chunks).equals(BODY)) arrived.add(request.url!);
      response.end();
    });
  });
  await new Promise<void>((resolve) => backend.listen(0, HOST, resolve));
});
after(() => {
  backend.close();
  backend.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

function startNginx(port: number, settings: string): ChildProcess {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const log = `error_log ${folder}/error.log`;
  const tls = `ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;`;
  const handOn = `proxy_pass http://${HOST}:${(backend.address() as AddressInfo).port};`;
  const server = `server { listen ${HOST}:${port} ssl http2; ${tls} location / { ${handOn} } }`;
  const http = `${temporary} access_log off; ${settings} ${server}`;
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `${user} pid ${folder}/pid; ${log}; events { worker_connections 4096; } http { ${http} }`,
  );
  return spawn('nginx', ['-c', file, '-e', `${folder}/error.log`, '-g', 'daemon off;'], { stdio: 'ignore' });
}

function engineFor(port: number): ApnsEngine {
  const { privateKey } = signingKey();
  const key = { keyId: KEY, teamId: TEAM, topics: [TOPIC], privateKey: () => privateKey };
  return createApnsEngine({
    keys: [{ ...key, environments: ['production'] }],
    endpoints: { production: { host: 'localhost', port, ca: certificate } },
    crypto,
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics('').add(apnsMetrics),
    limits: { reconnectMinMs: 5, reconnectMaxMs: 50 },
  });
}

describe('nginx as an APNs', () => {
  for (const [what, settings] of [
    ['with few streams and small windows', 'http2_max_concurrent_streams 4; http2_body_preread_size 1k;'],
    ['that ends each connection after a hundred requests', 'keepalive_requests 100;'],
    ['that speaks TLS 1.2', 'ssl_protocols TLSv1.2;'],
  ] as const) {
    it(what, async (t) => {
      const [port] = (await freePorts(1)) as [number];
      const nginx = startNginx(port, settings);
      const engine = engineFor(port);
      t.after(async () => {
        await engine.close(1_000);
        const ended = new Promise((resolve) => nginx.once('close', resolve));
        nginx.kill('SIGTERM');
        await ended;
      });
      const send = (token: Uint8Array) => engine.send(push('', { token, body: BODY }));
      await eventually('nginx', async () => (await send(crypto.randomBytes(32))).kind === 'accepted');
      const tokens = Array.from({ length: PUSHES }, () => crypto.randomBytes(32));
      const results = await Promise.all(tokens.map(send));
      assert.deepEqual(new Set(results.map(({ kind }) => kind)), new Set(['accepted']));
      assert.ok(tokens.every((token) => arrived.has(`/3/device/${toHex(token)}`)));
    });
  }
});
