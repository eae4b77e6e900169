/** The services as operators run them: folders by `init`, processes of the one executable, on ports of loopback. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../services/demo/free-ports.js';
import { makeGateway } from '../../../services/gateway/init.js';
import { makeSubscriber } from '../../../services/subscriber/init.js';
import type { Api } from '../child.js';
import { type Child, startCommand } from '../children.js';
import { until } from '../harness.js';

export const TOPIC = 'org.example.app';

/** Limits against abuse would stop a benchmark; what they cost is counted all the same. */
const UNLIMITED = '1000000';
const GATEWAY_ENV = {
  PORCHLIGHT_GATEWAY_LOG_LEVEL: 'warn',
  PORCHLIGHT_GATEWAY_LIMITS_NEWCOMER_RATE: UNLIMITED,
  PORCHLIGHT_GATEWAY_LIMITS_SUBSCRIBER_RATE: UNLIMITED,
  PORCHLIGHT_GATEWAY_LIMITS_FIRST_CONTACT_RATE: UNLIMITED,
};
const SUBSCRIBER_ENV = { PORCHLIGHT_SUBSCRIBER_LOG_LEVEL: 'warn' };

const folders: string[] = [];

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'porchlight-bench-'));
  folders.push(folder);
  return folder;
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** A service's folder, before or without its process. */
export interface Prepared {
  readonly folder: string;
  readonly port: number;
  readonly observePort: number;
  /** Starts its process; resolves once `/readyz` says so. */
  readonly start: () => Promise<Child<Api>>;
}

export interface PreparedGateway extends Prepared {
  /** `porchlight-gateway://…` */
  readonly address: string;
}

/** A gateway whose test environment is the lean APNs. */
export async function prepareGateway(apple: { port: number; ca: string }): Promise<PreparedGateway> {
  const root = temporaryFolder();
  const caFile = join(root, 'apple.crt');
  const apnsKey = join(root, 'apple.p8');
  writeFileSync(caFile, apple.ca);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileSync(apnsKey, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  const folder = join(root, 'gateway');
  const [port, observePort] = (await freePorts(2)) as [number, number];
  const ids = { team: 'TEAM000001', apnsKeyId: 'KEY0000001' };
  const address = await makeGateway(
    { dir: folder, host: '127.0.0.1', port, topic: TOPIC, apnsKey, ...ids },
    { listenHost: '127.0.0.1', observePort, test: { url: `https://localhost:${apple.port}`, caFile } },
  );
  const args = ['gateway', '--config', join(folder, 'gateway.toml')];
  return { folder, port, observePort, address, start: () => startReady(args, GATEWAY_ENV, observePort) };
}

export interface PreparedSubscriber extends Prepared {
  /** SHA-256 of the identity certificate, as the app's address names it. */
  readonly keyHash: Uint8Array;
}

export async function prepareSubscriber(gatewayAddress: string): Promise<PreparedSubscriber> {
  const folder = join(temporaryFolder(), 'subscriber');
  const [port, observePort] = (await freePorts(2)) as [number, number];
  const address = makeSubscriber(
    { dir: folder, gateway: gatewayAddress, host: '127.0.0.1', port, topic: TOPIC },
    { listenHost: '127.0.0.1', observePort, allowNetworks: ['127.0.0.0/8'] },
  );
  const keyHash = new Uint8Array(Buffer.from(address.slice('ntf://'.length).split('@')[0]!, 'base64url'));
  const args = ['subscriber', '--config', join(folder, 'subscriber.toml')];
  return { folder, port, observePort, keyHash, start: () => startReady(args, SUBSCRIBER_ENV, observePort) };
}

async function startReady(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  observePort: number,
): Promise<Child<Api>> {
  const child = startCommand(args, env);
  await until('readiness', async () => {
    if (child.hasEnded) throw new Error(`${args[0]} ended`);
    return isReady(observePort);
  });
  return child;
}

async function isReady(observePort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${observePort}/readyz`)).ok;
  } catch {
    return false;
  }
}
