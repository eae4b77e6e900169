/** `porchlight simulate`: the stand-ins on their own, each with a folder for what it keeps between runs. */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { systemClock } from '../../../shared/run/clock.js';
import { readSecretFile } from '../../../shared/run/files.js';
import { createLog } from '../../../shared/run/log.js';
import { onShutdown } from '../../../shared/run/shutdown.js';
import { startApnsSimulator } from '../../simulators/apns/server.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_TEAM, smpAddress } from '../../simulators/files.js';
import { smpIdentityIn } from '../../simulators/smp/identity.js';
import { startSmpServer } from '../../simulators/smp/server.js';

const HOST = 'localhost';

interface Common {
  readonly dir: string;
  readonly port: number;
  readonly controlPort: number;
}

/** `porchlight simulate apns`: serves the environment `test` and prints what a gateway needs to use it. */
export async function simulateApns(options: Common & { readonly topic: string }): Promise<void> {
  const { topic } = options;
  const files = apnsFiles(options.dir);
  const cert = readFileSync(files.ca, 'utf8');
  const simulator = await startApnsSimulator({
    clock: systemClock,
    environments: { test: { port: options.port } },
    controlPort: options.controlPort,
    certificate: { cert, ca: cert, key: readSecretFile(files.tlsKey).toString() },
    teams: [
      {
        teamId: SIMULATED_TEAM,
        topics: [topic],
        keys: [{ keyId: SIMULATED_KEY, publicKey: createPublicKey(readSecretFile(files.key)) }],
      },
    ],
  });
  process.stdout.write(`# For the gateway's configuration. Control port of the simulator: ${simulator.controlPort}
[[keys]]
name = "simulated"
file = "${files.key}"
key_id = "${SIMULATED_KEY}"
team_id = "${SIMULATED_TEAM}"

[[apps]]
topic = "${topic}"
environments = ["test"]
key = "simulated"

[test_environment]
url = "https://${HOST}:${simulator.ports.test}"
ca_file = "${files.ca}"
`);
  runUntilStopped('apns-simulator', simulator);
}

/** `porchlight simulate smp`: a messaging server that remembers its queues from one run to the next. */
export async function simulateSmp(options: Common & { readonly deliveryMs: number }): Promise<void> {
  const folder = resolve(options.dir);
  const server = await startSmpServer({
    crypto: await loadCrypto(),
    clock: systemClock,
    identity: smpIdentityIn(folder, new Date()),
    port: options.port,
    controlPort: options.controlPort,
    timing: { deliveryMs: options.deliveryMs },
    stateFile: join(folder, 'state.json'),
  });
  process.stdout.write(`${smpAddress(folder, HOST, server.port)}\n`);
  runUntilStopped('smp-simulator', server);
}

function runUntilStopped(service: string, running: { close(): Promise<void> }): void {
  const log = createLog({ service, level: 'info', json: !process.stderr.isTTY });
  onShutdown(async () => {
    log.info('stopping');
    await running.close();
  });
  log.info('ready');
}
