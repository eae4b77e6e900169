/** `porchlight simulate`: the stand-ins on their own, in a folder that holds their keys between runs. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createServerCertificate, toPem } from '../../../shared/crypto/x509.js';
import { systemClock } from '../../../shared/run/clock.js';
import { readSecretFile, writeSecretFile } from '../../../shared/run/files.js';
import { createLog, type Log } from '../../../shared/run/log.js';
import { onShutdown } from '../../../shared/run/shutdown.js';
import { startApnsSimulator } from '../../simulators/apns/server.js';

const HOST = 'localhost';
/** Ten characters each, as Apple's are. */
export const SIMULATED_TEAM = 'SIMULATED0';
export const SIMULATED_KEY = 'SIMULATED1';

export interface SimulateApnsOptions {
  readonly dir: string;
  readonly port: number;
  readonly controlPort: number;
  readonly topic: string;
}

/** `porchlight simulate apns`: serves the environment `test` and says what a gateway needs to use it. */
export async function simulateApns(options: SimulateApnsOptions): Promise<void> {
  const folder = resolve(options.dir);
  const keyFile = apnsKeyFile(folder);
  const certificate = certificateIn(folder);
  const simulator = await startApnsSimulator({
    clock: systemClock,
    environments: { test: { port: options.port } },
    controlPort: options.controlPort,
    certificate,
    teams: [
      {
        teamId: SIMULATED_TEAM,
        topics: [options.topic],
        keys: [{ keyId: SIMULATED_KEY, publicKey: createPublicKey(readSecretFile(keyFile)) }],
      },
    ],
  });
  const port = simulator.ports.test;
  process.stdout.write(`# In the gateway's configuration (control port here: ${simulator.controlPort}):
[[keys]]
name = "simulated"
file = "${keyFile}"
key_id = "${SIMULATED_KEY}"
team_id = "${SIMULATED_TEAM}"

[[apps]]
topic = "${options.topic}"
environments = ["test"]
key = "simulated"

[test_environment]
url = "https://${HOST}:${port}"
ca_file = "${join(folder, 'ca.crt')}"
`);
  runUntilStopped('apns-simulator', simulator);
}

/** Where the simulated team's .p8 is; made at the first run. */
export function apnsKeyFile(folder: string): string {
  const file = join(folder, 'apns.p8');
  if (!existsSync(file)) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeSecretFile(file, privateKey.export({ format: 'pem', type: 'pkcs8' }));
  }
  return file;
}

/** The simulator's certificate, its own authority; made at the first run. */
function certificateIn(folder: string): { cert: string; key: string; ca: string } {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [certFile, keyFile] = [join(folder, 'ca.crt'), join(folder, 'tls.key')];
  if (!existsSync(keyFile)) {
    const made = createServerCertificate({ host: HOST, otherHosts: ['127.0.0.1'], now: new Date() });
    writeFileSync(certFile, toPem('CERTIFICATE', made.certificate));
    writeSecretFile(keyFile, toPem('PRIVATE KEY', made.privateKey));
  }
  const cert = readFileSync(certFile, 'utf8');
  return { cert, key: readSecretFile(keyFile).toString(), ca: cert };
}

function runUntilStopped(service: string, running: { close(): Promise<void> }): void {
  const log: Log = createLog({ service, level: 'info', json: !process.stderr.isTTY });
  onShutdown(async () => {
    log.info('stopping');
    await running.close();
  });
  log.info('ready');
}
