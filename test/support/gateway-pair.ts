/**
 * Several gateways of one operator in this process: one folder, one identity, one Redis, the APNs simulator behind
 * them, and a subscriber that sends to any of them.
 */
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Gateway, startGateway } from '../../services/gateway/app.js';
import { EPOCHS_FOLDER } from '../../services/gateway/burn.js';
import { Epochs } from '../../services/gateway/capabilities/epochs.js';
import { KeyFolder } from '../../services/gateway/capabilities/key-folder.js';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import { GATEWAY_FILE, makeGateway } from '../../services/gateway/init.js';
import { type ApnsSimulator, startApnsSimulator } from '../../services/simulators/apns/server.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_TEAM } from '../../services/simulators/files.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { systemClock } from '../../shared/run/clock.js';
import { loadConfig } from '../../shared/run/config.js';
import { createLog, silentLog } from '../../shared/run/log.js';
import { provenCapability } from './proven-capability.js';
import { RelayClient } from './relay-client.js';

const TOPIC = 'org.example.messenger';

export interface PairedGateway {
  readonly gateway: Gateway;
  /** Speaks to this gateway, as the same subscriber as the others'. */
  readonly client: RelayClient;
}

export interface GatewayPair {
  readonly apns: ApnsSimulator;
  readonly gateways: readonly PairedGateway[];
  /** State folder of all. */
  readonly state: string;
  readonly logLines: string[];
  /** The capability of a new device of this subscriber, proven, and its token. */
  device(): { capability: Uint8Array; token: string };
  close(): Promise<void>;
}

/** @param redis variables of `[redis]`, without their prefix: `TIMEOUT_MS` */
export async function startGatewayPair(
  redis: Readonly<Record<string, string>>,
  count = 2,
): Promise<GatewayPair> {
  const crypto = await loadCrypto();
  const folder = mkdtempSync(join(tmpdir(), 'porchlight-pair-'));
  const files = apnsFiles(join(folder, 'apns'));
  const cert = readFileSync(files.ca, 'utf8');
  const publicKey = createPublicKey(readFileSync(files.key));
  const apns = await startApnsSimulator({
    clock: systemClock,
    environments: { test: {} },
    certificate: { cert, ca: cert, key: readFileSync(files.tlsKey, 'utf8') },
    teams: [{ teamId: SIMULATED_TEAM, topics: [TOPIC], keys: [{ keyId: SIMULATED_KEY, publicKey }] }],
  });
  const dir = join(folder, 'gateway');
  const apple = { team: SIMULATED_TEAM, apnsKey: files.key, apnsKeyId: SIMULATED_KEY };
  const test = { url: `https://localhost:${apns.ports.test}`, caFile: files.ca };
  await makeGateway({ dir, host: 'localhost', port: 8443, topic: TOPIC, ...apple }, { test });
  const logLines: string[] = [];
  const sink = { write: (line: string) => void logLines.push(line) };
  const log = createLog({ service: 'gateway', level: 'debug', json: true, sink });
  const certificate = readFileSync(join(dir, 'tls.crt'), 'utf8');
  const identity = crypto.ed25519KeyPair();

  const start = async (_: unknown, index: number): Promise<PairedGateway> => {
    const variables = Object.entries(redis).map(([name, value]) => [`G_REDIS_${name}`, value]);
    const config = loadConfig(gatewayConfigSchema, {
      file: join(dir, GATEWAY_FILE),
      prefix: 'G_',
      env: {
        ...Object.fromEntries(variables),
        G_LISTEN: '127.0.0.1:0',
        G_OBSERVE_LISTEN: '127.0.0.1:0',
        G_CONTROL_SOCKET: join(dir, `control-${index}.sock`),
        G_LIMITS_NEWCOMER_RATE: '100000',
      },
    });
    const gateway = await startGateway(config, { log });
    const port = () => gateway.port;
    const { fingerprint } = gateway;
    const client = new RelayClient({ crypto, clock: systemClock, port, certificate, fingerprint }, identity);
    return { gateway, client };
  };
  const gateways = await Promise.all(Array.from({ length: count }, start));
  const state = join(dir, 'state');
  const epochs = new Epochs({
    crypto,
    clock: systemClock,
    log: silentLog,
    folder: new KeyFolder(join(state, EPOCHS_FOLDER), 'epoch root'),
  });
  return {
    apns,
    gateways,
    state,
    logLines,
    device() {
      const { token } = apns.devices.register({ environment: 'test', topic: TOPIC });
      const { publicKey } = identity;
      const capability = provenCapability(crypto, epochs, { topic: TOPIC, publicKey, token });
      return { capability, token };
    },
    async close() {
      epochs.close();
      for (const { client } of gateways) client.close();
      await Promise.all(gateways.map(({ gateway }) => gateway.close()));
      await apns.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
