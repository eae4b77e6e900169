/**
 * Everybody, over real sockets, TLS and HTTP/2, with a network between any two that can be broken: messaging
 * servers, subscriber, Apple's stand-in and phones in this process, the gateway as a process that can be killed. One
 * clock for all, so that waits of hours pass in moments.
 */
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeGateway } from '../../services/gateway/init.js';
import { type ApnsSimulator, startApnsSimulator } from '../../services/simulators/apns/server.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_TEAM } from '../../services/simulators/files.js';
import { type SmpStandIn, startSmpServer } from '../../services/simulators/smp/server.js';
import { type Subscriber, startSubscriber } from '../../services/subscriber/app.js';
import { subscriberConfigSchema } from '../../services/subscriber/config.js';
import type { FrameType } from '../../services/subscriber/handover/frames.js';
import { makeSubscriber } from '../../services/subscriber/init.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { toBase64url } from '../../shared/encoding/base64url.js';
import { formatGatewayAddress } from '../../shared/relay/identity.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { loadConfig } from '../../shared/run/config.js';
import { silentLog } from '../../shared/run/log.js';
import { parseServer } from '../../shared/smp/address.js';
import { startHandOverProxy } from '../support/world/hand-over-proxy.js';
import { LeapClock } from '../support/world/leap-clock.js';
import { Accountant } from './accountant.js';
import { holdsWithin, TooLong, within } from './bounded.js';
import { Correspondent, type WatchedQueue } from './correspondent.js';
import { GatewayProcess } from './gateway.js';
import { Network } from './network.js';
import { ChaosPhone } from './phone.js';

const TOPIC = 'org.example.messenger';
const HOST = '127.0.0.1';
const MESSAGING_SERVERS = 2;
/** The one that the subscriber reaches by WebSocket. */
const BY_WEBSOCKET = 1;
const PHONES = 3;
/** Fewer than a push has room for: Apple keeps one undelivered push, so the last must be able to tell everything. */
const QUEUES_EACH = 4;
/** How often messaging servers hand over notifications. */
const DELIVERY_MS = 10;
const START_MS = 30_000;
/** In which the other end of closed connections notices. */
const NOTICE_MS = 50;
/** `init` wants a port for what it prints; what counts is in the environment. */
const SOME_PORT = 8443;

/** One of the phones' queues, with the network on which the subscriber sees its server. */
export interface Line {
  readonly phone: ChaosPhone;
  readonly name: string;
  readonly queue: WatchedQueue;
  readonly correspondent: Correspondent;
}

/** The ways between any two parties. */
export interface Links {
  readonly messaging: readonly Network[];
  readonly gateway: Network;
  readonly apple: Network;
  readonly phones: Network;
}

export class ChaosWorld {
  readonly clock = new LeapClock();
  readonly accountant = new Accountant();
  readonly messagingServers: SmpStandIn[] = [];
  readonly lines: Line[] = [];
  apns!: ApnsSimulator;
  gateway!: GatewayProcess;
  links!: Links;
  private readonly phones: ChaosPhone[] = [];
  private readonly correspondents: Correspondent[] = [];
  private readonly folder = mkdtempSync(join(tmpdir(), 'porchlight-chaos-'));
  private crypto!: Crypto;
  private subscriber: Subscriber | undefined;
  /** Those that were taken over from, and still hear messaging servers out. */
  private readonly leaving = new Set<Subscriber>();
  private phonePort = 0;
  private lastNumber = 0;
  private lastProxy = 0;
  private closed = false;

  /** Everybody runs and every phone is registered when this resolves. */
  static async start(): Promise<ChaosWorld> {
    const world = new ChaosWorld();
    try {
      await within(START_MS, 'start of everybody', world.startAll());
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** Has somebody write to this queue; resolves when the server took it, from when on the phone must be told. */
  async write({ phone, name, queue, correspondent }: Line): Promise<void> {
    const number = ++this.lastNumber;
    await correspondent.send(queue, number);
    this.accountant.sent(phone.name, name, number);
  }

  /** All phones' owners read what waits, so that the accountant knows the order of messages. */
  async readAll(): Promise<void> {
    const drain = async ({ name, queue, correspondent }: Line): Promise<void> => {
      const waits = this.accountant.hasUnread(name);
      for (const { id, number } of await correspondent.drain(queue, waits))
        this.accountant.read(name, id, number);
    };
    await Promise.all(this.lines.map(drain));
  }

  /** It is `ms` later for everybody. */
  async leap(ms: number): Promise<void> {
    await this.gateway.leap(ms);
    this.clock.leap(ms);
  }

  /** The subscriber ends in good order and starts anew, knowing nothing; phones find out and register again. */
  async restartSubscriber(): Promise<void> {
    await this.subscriber!.close();
    await sleep(systemClock, NOTICE_MS);
    await this.startSubscriber();
    for (const phone of this.phones) void phone.settle();
  }

  /** Another subscriber takes over from the one that runs; the old one goes when it is no longer needed. */
  async upgradeSubscriber(): Promise<void> {
    const before = this.subscriber!;
    await this.startSubscriber({ takeOver: true, observePort: before.observePort });
    this.leaving.add(before);
    void before.replaced.then(() => before.close()).then(() => this.leaving.delete(before));
  }

  /** Another subscriber is cut off from the one that runs, which serves on, before it has taken over. */
  async failToUpgrade(at: FrameType): Promise<void> {
    const path = join(this.folder, `proxy-${++this.lastProxy}.sock`);
    const target = join(this.folder, 'subscriber', 'control.sock');
    await startHandOverProxy({ path, target, at, reached: (cut) => cut() });
    const { observePort } = this.subscriber!;
    await this.startSubscriber({ takeOver: true, observePort, controlSocket: path }).then(
      () => Promise.reject(new Error('it took over')),
      () => {},
    );
  }

  get isSettled(): boolean {
    return this.phones.every((phone) => phone.isSettled);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const { messaging = [], gateway, apple, phones } = this.links ?? {};
    const networks = [...messaging, gateway, apple, phones].filter((network) => network !== undefined);
    await Promise.all(networks.map((network) => network.close()));
    for (const correspondent of this.correspondents) correspondent.close();
    await Promise.all(this.phones.map((phone) => phone.close()));
    await this.subscriber?.close();
    await Promise.all([...this.leaving].map((subscriber) => subscriber.close()));
    await this.gateway?.end('SIGKILL');
    await Promise.all(this.messagingServers.map((server) => server.close()));
    await this.apns?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async startAll(): Promise<void> {
    this.crypto = await loadCrypto();
    const { crypto, clock } = this;
    for (let n = 0; n < MESSAGING_SERVERS; n++) {
      const timing = { deliveryMs: DELIVERY_MS, endMs: DELIVERY_MS };
      this.messagingServers.push(await startSmpServer({ crypto, clock, timing, webSocketPort: 0 }));
    }
    this.links = await this.startLinks();
    await this.startApple();
    const keyHash = await this.startServices();
    for (let n = 0; n < PHONES; n++) this.phones.push(this.makePhone(`phone ${n + 1}`, keyHash));
    await this.makeLines();
    const settling = Promise.all(this.phones.map((phone) => phone.settle()));
    await settling;
    const followed = () =>
      this.messagingServers.reduce((sum, server) => sum + server.counters().subscriptions, 0);
    if (!(await holdsWithin(START_MS, () => followed() >= this.lines.length)))
      throw new TooLong('subscriptions');
  }

  private async startLinks(): Promise<Links> {
    return {
      messaging: await Promise.all(this.messagingServers.map((_, n) => this.startMessagingLink(n))),
      gateway: await Network.start(() => this.gateway.port),
      apple: await Network.start(() => this.apns.ports.test!),
      phones: await Network.start(() => this.phonePort),
    };
  }

  private startMessagingLink(n: number): Promise<Network> {
    const server = this.messagingServers[n]!;
    return Network.start(() => (n === BY_WEBSOCKET ? server.webSocketPort! : server.port));
  }

  private async startApple(): Promise<void> {
    const files = apnsFiles(join(this.folder, 'apns'));
    const cert = readFileSync(files.ca, 'utf8');
    const publicKey = createPublicKey(readFileSync(files.key));
    this.apns = await startApnsSimulator({
      clock: this.clock,
      environments: { test: {} },
      certificate: { cert, ca: cert, key: readFileSync(files.tlsKey, 'utf8') },
      teams: [{ teamId: SIMULATED_TEAM, topics: [TOPIC], keys: [{ keyId: SIMULATED_KEY, publicKey }] }],
    });
    const dir = join(this.folder, 'gateway');
    const apple = { team: SIMULATED_TEAM, apnsKey: files.key, apnsKeyId: SIMULATED_KEY };
    const test = { url: `https://localhost:${this.links.apple.port}`, caFile: files.ca };
    await makeGateway({ dir, host: HOST, port: SOME_PORT, topic: TOPIC, ...apple }, { test });
    this.gateway = new GatewayProcess(join(dir, 'gateway.toml'));
  }

  /** Returns the fingerprint of the subscriber's identity. */
  private async startServices(): Promise<Uint8Array> {
    await this.gateway.start();
    const { fingerprint } = this.gateway;
    const gateway = formatGatewayAddress({ fingerprint, host: HOST, port: this.links.gateway.port });
    const dir = join(this.folder, 'subscriber');
    const allowNetworks = [`${HOST}/32`];
    const options = { dir, gateway, host: HOST, port: SOME_PORT, topic: TOPIC };
    const address = makeSubscriber(options, { allowNetworks });
    await this.startSubscriber();
    return parseServer(address, 'ntf').keyHash;
  }

  private async startSubscriber({
    takeOver = false,
    observePort = 0,
    controlSocket = join(this.folder, 'subscriber', 'control.sock'),
  } = {}): Promise<void> {
    const config = loadConfig(subscriberConfigSchema, {
      file: join(this.folder, 'subscriber', 'subscriber.toml'),
      prefix: 'S_',
      env: {
        S_LISTENERS_0_LISTEN: `${HOST}:${this.phonePort}`,
        S_OBSERVE_LISTEN: `${HOST}:${observePort}`,
        S_CONTROL_SOCKET: controlSocket,
        S_SMP_SERVERS_0_HOST: HOST,
        S_SMP_SERVERS_0_FINGERPRINT: toBase64url(this.messagingServers[BY_WEBSOCKET]!.address.keyHash),
        S_SMP_SERVERS_0_TRANSPORT: 'websocket',
      },
    });
    this.subscriber = await startSubscriber(config, { log: silentLog, clock: this.clock, takeOver });
    this.phonePort = this.subscriber.ports.get('phones')!;
  }

  private makePhone(name: string, keyHash: Uint8Array): ChaosPhone {
    const { crypto, clock, apns, accountant } = this;
    return new ChaosPhone({
      name,
      topic: TOPIC,
      crypto,
      clock,
      apns,
      keyHash,
      port: this.links.phones.port,
      directPort: () => this.phonePort,
      sawCheck: () => accountant.sawCheck(name),
      sawEntry: (queue, messageId) => accountant.sawEntry(queue, messageId),
    });
  }

  /** Each phone has queues at all servers, known to the subscriber by the network in front of them. */
  private async makeLines(): Promise<void> {
    this.correspondents.push(
      ...this.messagingServers.map((server) => new Correspondent(this.crypto, server)),
    );
    for (const phone of this.phones) {
      for (let n = 0; n < QUEUES_EACH; n++) {
        const at = n % MESSAGING_SERVERS;
        const correspondent = this.correspondents[at]!;
        const queue = await correspondent.createQueue();
        const name = `${phone.name} queue ${n + 1}`;
        const { id: notifierId, key: notifierKey, secret: metadataSecret } = queue.notifier;
        const { keyHash } = this.messagingServers[at]!.address;
        const server = { hosts: [HOST], port: String(this.links.messaging[at]!.port), keyHash };
        phone.want(name, { queue: { server, notifierId }, notifierKey, metadataSecret });
        this.lines.push({ phone, name, queue, correspondent });
      }
    }
  }
}
