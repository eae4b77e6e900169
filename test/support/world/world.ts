/**
 * Everybody in one process, over real sockets, TLS and HTTP/2: APNs simulator, gateway, subscriber, messaging
 * servers. Folders are those that `init` makes; ports are ephemeral ones of loopback; all share one clock.
 */
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Gateway, startGateway } from '../../../services/gateway/app.js';
import { gatewayConfigSchema } from '../../../services/gateway/config.js';
import { makeGateway } from '../../../services/gateway/init.js';
import { type ApnsSimulator, startApnsSimulator } from '../../../services/simulators/apns/server.js';
import {
  type ApnsFiles,
  apnsFiles,
  SIMULATED_KEY,
  SIMULATED_TEAM,
} from '../../../services/simulators/files.js';
import { type SmpStandIn, startSmpServer } from '../../../services/simulators/smp/server.js';
import { type Subscriber, startSubscriber } from '../../../services/subscriber/app.js';
import { type SubscriberConfig, subscriberConfigSchema } from '../../../services/subscriber/config.js';
import { makeSubscriber } from '../../../services/subscriber/init.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { createServerCertificate, toPem } from '../../../shared/crypto/x509.js';
import { formatGatewayAddress } from '../../../shared/relay/identity.js';
import { loadConfig } from '../../../shared/run/config.js';
import { writeSecretFile } from '../../../shared/run/files.js';
import { createLog, type Log } from '../../../shared/run/log.js';
import { parseServer, type ServerAddress } from '../../../shared/smp/address.js';
import { native } from '../crypto.js';
import { LeapClock } from './leap-clock.js';
import { type RunningSubscriber, SubscriberProcess } from './subscriber-process.js';

export const TOPIC = 'org.example.messenger';
export const HOST = '127.0.0.1';
/** Of the gateway's certificate. */
const GATEWAY_HOST = 'localhost';
const ANY_PORT = `${HOST}:0`;
/** How often messaging servers hand over notifications. */
const DELIVERY_MS = 20;
/** `init` wants a port for what it prints; what counts is in the environment. */
const SOME_PORT = 8443;

export interface WorldOptions {
  /** Messaging servers; 1 unless given. */
  readonly messagingServers?: number;
  /** Variables without their prefix: `APPS_0_VISIBLE_TEXT`. */
  readonly gateway?: Readonly<Record<string, string>>;
  readonly subscriber?: Readonly<Record<string, string>>;
  /** The subscriber is a process of its own, which `subscriber.close` kills. */
  readonly subscriberProcess?: boolean;
  /** Ranges that clients' server addresses may lead to; loopback unless given. */
  readonly allowNetworks?: readonly string[];
  /** What both services compute with. */
  readonly crypto?: Crypto;
}

export class World {
  readonly clock = new LeapClock();
  readonly crypto: Crypto = native;
  readonly folder = mkdtempSync(join(tmpdir(), 'porchlight-world-'));
  /** Everything that both services logged, at level debug. */
  readonly logLines: string[] = [];
  readonly messagingServers: SmpStandIn[] = [];
  apns!: ApnsSimulator;
  gateway!: Gateway;
  subscriber!: RunningSubscriber;
  /** Where phones connect. */
  notificationServer!: ServerAddress;
  private readonly options: WorldOptions;
  private readonly closing: (() => void | Promise<void>)[] = [];
  private gatewayListen = ANY_PORT;
  private phonesListen = ANY_PORT;

  constructor(options: WorldOptions) {
    this.options = options;
  }

  get gatewayFolder(): string {
    return join(this.folder, 'gateway');
  }

  get subscriberFolder(): string {
    return join(this.folder, 'subscriber');
  }

  /** Called by `startWorld`. */
  async start(): Promise<void> {
    const files = apnsFiles(join(this.folder, 'apns'));
    this.apns = await this.startApns(files);
    for (let n = this.options.messagingServers ?? 1; n > 0; n--) await this.addMessagingServer();
    await this.makeGatewayFolder(files);
    await this.startGateway();
    const address = this.makeSubscriberFolder();
    await this.startSubscriber();
    const port = String(this.subscriber.ports.get('phones'));
    this.notificationServer = { ...parseServer(address, 'ntf'), port };
  }

  async startGateway(): Promise<void> {
    const config = loadConfig(gatewayConfigSchema, {
      file: join(this.gatewayFolder, 'gateway.toml'),
      prefix: 'G_',
      env: prefixed('G_', { LISTEN: this.gatewayListen, OBSERVE_LISTEN: ANY_PORT, ...this.options.gateway }),
    });
    this.gateway = await startGateway(config, this.deps('gateway'));
    this.gatewayListen = `${HOST}:${this.gateway.port}`;
  }

  /** Stops the gateway and starts it on the same folder and port. */
  async restartGateway(options: { readonly newTlsKey?: boolean } = {}): Promise<void> {
    await this.gateway.close();
    if (options.newTlsKey) this.writeTlsKey();
    await this.startGateway();
  }

  /** On its folder; on the port that it had, where it was started before. */
  async startSubscriber(): Promise<void> {
    const file = join(this.subscriberFolder, 'subscriber.toml');
    const env = this.subscriberVariables();
    this.subscriber = this.options.subscriberProcess
      ? await SubscriberProcess.start(this.clock, { file, env })
      : await startSubscriber(this.subscriberConfig(), this.deps('subscriber'));
    this.phonesListen = `${HOST}:${this.subscriber.ports.get('phones')}`;
  }

  /** Another subscriber takes over from the one that runs, as a new process does; resolves with the old one. */
  async upgradeSubscriber(changes: Readonly<Record<string, string>> = {}): Promise<Subscriber> {
    const before = this.subscriber as Subscriber;
    const deps = { ...this.deps('subscriber'), takeOver: true };
    this.subscriber = await startSubscriber(this.subscriberConfig(changes), deps);
    return before;
  }

  /** A messaging server of its own identity. */
  async addMessagingServer(stateFile?: string): Promise<SmpStandIn> {
    const { crypto, clock } = this;
    const server = await startSmpServer({
      crypto,
      clock,
      timing: { deliveryMs: DELIVERY_MS, endMs: DELIVERY_MS },
      ...(stateFile && { stateFile }),
    });
    this.messagingServers.push(server);
    return server;
  }

  /** The value of one sample of a service's metrics, `name{label="value"}`; 0 where it is not there. */
  async metric(service: 'gateway' | 'subscriber', sample: string): Promise<number> {
    const text = await (await fetch(`http://${HOST}:${this[service].observePort}/metrics`)).text();
    const line = text.split('\n').find((l) => l.startsWith(`porchlight_${service}_${sample} `));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  /** Runs before everything ends, last added first. */
  onClose(close: () => void | Promise<void>): void {
    this.closing.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.closing.reverse()) await close();
    await this.subscriber?.close();
    await this.gateway?.close();
    await Promise.all(this.messagingServers.map((server) => server.close()));
    await this.apns?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private startApns(files: ApnsFiles): Promise<ApnsSimulator> {
    const cert = readFileSync(files.ca, 'utf8');
    const publicKey = createPublicKey(readFileSync(files.key));
    return startApnsSimulator({
      clock: this.clock,
      environments: { test: {} },
      certificate: { cert, ca: cert, key: readFileSync(files.tlsKey, 'utf8') },
      teams: [{ teamId: SIMULATED_TEAM, topics: [TOPIC], keys: [{ keyId: SIMULATED_KEY, publicKey }] }],
    });
  }

  private async makeGatewayFolder(files: ApnsFiles): Promise<void> {
    const apple = { team: SIMULATED_TEAM, apnsKey: files.key, apnsKeyId: SIMULATED_KEY };
    await makeGateway(
      { dir: this.gatewayFolder, host: GATEWAY_HOST, port: SOME_PORT, topic: TOPIC, ...apple },
      { test: { url: `https://localhost:${this.apns.ports.test}`, caFile: files.ca } },
    );
  }

  private subscriberVariables(changes: Readonly<Record<string, string>> = {}): Record<string, string> {
    return prefixed('S_', {
      LISTENERS_0_LISTEN: this.phonesListen,
      OBSERVE_LISTEN: ANY_PORT,
      ...this.options.subscriber,
      ...changes,
    });
  }

  private subscriberConfig(changes?: Readonly<Record<string, string>>): SubscriberConfig {
    const file = join(this.subscriberFolder, 'subscriber.toml');
    const env = this.subscriberVariables(changes);
    return loadConfig(subscriberConfigSchema, { file, prefix: 'S_', env });
  }

  /** Returns the address for phones. */
  private makeSubscriberFolder(): string {
    const { fingerprint, port } = this.gateway;
    const { allowNetworks = ['127.0.0.0/8'] } = this.options;
    const gateway = formatGatewayAddress({ fingerprint, host: GATEWAY_HOST, port });
    return makeSubscriber(
      { dir: this.subscriberFolder, gateway, host: HOST, port: SOME_PORT, topic: TOPIC },
      { allowNetworks },
    );
  }

  private writeTlsKey(): void {
    const made = createServerCertificate({ host: GATEWAY_HOST, now: new Date(this.clock.now()) });
    writeFileSync(join(this.gatewayFolder, 'tls.crt'), toPem('CERTIFICATE', made.certificate));
    writeSecretFile(join(this.gatewayFolder, 'tls.key'), toPem('PRIVATE KEY', made.privateKey));
  }

  private deps(service: string): { log: Log; clock: LeapClock; crypto: Crypto } {
    const sink = { write: (line: string) => void this.logLines.push(line) };
    const log = createLog({ service, level: 'debug', json: true, sink });
    return { log, clock: this.clock, crypto: this.options.crypto ?? this.crypto };
  }
}

/** Resolves when all listen; the subscriber may not have reached its gateway yet. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const world = new World(options);
  try {
    await world.start();
    return world;
  } catch (error) {
    await world.close();
    throw error;
  }
}

const prefixed = (prefix: string, variables: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(variables).map(([name, value]) => [prefix + name, value]));
