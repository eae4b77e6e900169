/**
 * The demo's parties as processes in a temporary folder: made with the same `init` that people use, on loopback
 * ports that stay the same across restarts. Leaves nothing behind.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCrypto } from '../../shared/crypto/load.js';
import { loadConfig } from '../../shared/run/config.js';
import { GATEWAY_FILE, makeGateway } from '../gateway/init.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_TEAM, smpAddress } from '../simulators/files.js';
import { subscriberConfigSchema } from '../subscriber/config.js';
import { makeSubscriber, SUBSCRIBER_FILE } from '../subscriber/init.js';
import { addressesOf } from '../subscriber/pairing.js';
import { ApnsControl } from './apns-control.js';
import { Child, type LogLine } from './child.js';
import { freePorts } from './free-ports.js';
import { GatewayGroup } from './gateway-group.js';
import type { Hop } from './journey.js';
import type { PhoneReport, PhoneSetting } from './phone-reports.js';

export const TOPIC = 'org.example.messenger';
const HOST = 'localhost';
/** Half a second instead of the real server's 1.5: the demo is to be looked at. */
const DELIVERY_MS = 500;
const PHONE = fileURLToPath(new URL('./phone.js', import.meta.url));

/** Milestones that services log at level debug, and the hops that they stand for. */
const MILESTONES: Readonly<Record<string, Hop>> = {
  'signal received': 'received',
  'push sealed': 'sealed',
  'frame received': 'forwarded',
  'push sent': 'pushed',
};

export type PartyName = 'messaging server' | 'subscriber' | 'gateway' | 'Apple' | 'phone';

/** What can be started, stopped and looked into. */
export interface Party {
  readonly pid: number | undefined;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface World {
  readonly apple: ApnsControl;
  /** `smp://…` */
  readonly messagingServer: string;
  /** Where each party listens. */
  readonly places: readonly (readonly [PartyName, string])[];
  /** Where the services that run show their metrics. */
  readonly metricsPorts: readonly number[];
  readonly party: (name: Exclude<PartyName, 'phone'>) => Party;
  /** Where there are several. */
  readonly gateways: GatewayGroup | undefined;
  readonly pid: (name: PartyName) => number | undefined;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly gateways: number;
}

export interface WorldEvents {
  onHop(hop: Hop, at: number): void;
  onPhone(report: PhoneReport): void;
}

/** Starts everybody; when it resolves the phone is registering. */
export async function createWorld(options: WorldOptions, events: WorldEvents): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'porchlight-demo-'));
  const [apns, control, smp, smpControl, gateway, gatewayObserve, phones, subscriberObserve] =
    await freePorts(8);
  const at = (name: string) => join(folder, name);
  const files = apnsFiles(at('apns'));
  const address = await makeGateway(
    {
      dir: at('gateway'),
      host: HOST,
      port: gateway!,
      topic: TOPIC,
      team: SIMULATED_TEAM,
      apnsKey: files.key,
      apnsKeyId: SIMULATED_KEY,
    },
    {
      listenHost: '127.0.0.1',
      observePort: gatewayObserve!,
      test: { url: `https://${HOST}:${apns}`, caFile: files.ca },
    },
  );
  makeSubscriber(
    { dir: at('subscriber'), gateway: address, host: HOST, port: phones!, topic: TOPIC },
    {
      listenHost: '127.0.0.1',
      observePort: subscriberObserve!,
      allowNetworks: ['127.0.0.0/8', '::1/128'],
      verbose: true,
    },
  );
  const pairing = await pairingIn(at('subscriber'));
  const messagingServer = smpAddress(at('smp'), HOST, smp!);

  const heard = (line: { msg: string; time: string }): void => {
    const hop = MILESTONES[line.msg];
    if (hop) events.onHop(hop, Date.parse(line.time));
  };
  const simulate = (kind: string, port: number, controlPort: number, ...more: string[]) => [
    'simulate',
    kind,
    '--dir',
    at(kind),
    '--port',
    `${port}`,
    '--control-port',
    `${controlPort}`,
    ...more,
  ];
  const gatewayConfig = at(`gateway/${GATEWAY_FILE}`);
  const gateways = await groupOf(options.gateways, at('gateway'), gatewayConfig, gateway!, heard);
  const parties = {
    'messaging server': new Child(
      'messaging server',
      simulate('smp', smp!, smpControl!, '--delivery-ms', `${DELIVERY_MS}`),
    ),
    subscriber: new Child('subscriber', ['subscriber', '--config', at('subscriber/subscriber.toml')], heard),
    gateway: gateways ?? new Child('gateway', ['gateway', '--config', gatewayConfig], heard),
    Apple: new Child('Apple', simulate('apns', apns!, control!, '--topic', TOPIC)),
  };
  let phone: ChildProcess | undefined;
  const close = async (): Promise<void> => {
    phone?.kill('SIGKILL'); // a phone has nothing to put in order
    await Promise.all(Object.values(parties).map((party) => party.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([parties['messaging server'].start(), parties.Apple.start(), parties.gateway.start()]);
    await parties.subscriber.start();
    phone = startPhone({ topic: TOPIC, apnsControlPort: control!, messagingServer, pairing }, events);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    apple: new ApnsControl(control!),
    messagingServer,
    places: [
      ['messaging server', `smp://…@${HOST}:${smp}`],
      ['subscriber', `ntf://…@${HOST}:${phones}`],
      ['gateway', `porchlight-gateway://…@${HOST}:${gateway}${gateways ? gateways.described : ''}`],
      ['Apple', `https://${HOST}:${apns}`],
    ],
    get metricsPorts() {
      return [subscriberObserve!, ...(gateways?.metricsPorts ?? [gatewayObserve!])];
    },
    gateways,
    party: (name) => parties[name],
    pid: (name) => (name === 'phone' ? phone?.pid : parties[name].pid),
    close,
  };
}

/** Several gateways behind the address of one; undefined for one. */
async function groupOf(
  count: number,
  folder: string,
  config: string,
  port: number,
  onLine: (line: LogLine) => void,
): Promise<GatewayGroup | undefined> {
  if (count === 1) return undefined;
  const ports = await freePorts(2 * count);
  const gateways = Array.from({ length: count }, (_, i) => ({
    listen: ports[2 * i]!,
    observe: ports[2 * i + 1]!,
  }));
  return new GatewayGroup({ folder, config, port, gateways, onLine });
}

/** What `porchlight pair` prints. */
async function pairingIn(folder: string): Promise<string> {
  const source = { file: join(folder, SUBSCRIBER_FILE), env: {}, prefix: '' };
  const [address] = addressesOf(loadConfig(subscriberConfigSchema, source), await loadCrypto());
  return address!.pairing;
}

function startPhone(setting: PhoneSetting, events: WorldEvents): ChildProcess {
  const phone = fork(PHONE, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  phone.on('message', (report: PhoneReport) => events.onPhone(report));
  phone.send(setting);
  return phone;
}
