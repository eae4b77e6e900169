/** Composition root of the gateway: the only file that knows every part. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { fromBase64url } from '../../shared/encoding/base64url.js';
import { latin1 } from '../../shared/encoding/bytes.js';
import { gatewayFingerprint, subscriberTag } from '../../shared/relay/identity.js';
import { type Clock, systemClock, type Timer } from '../../shared/run/clock.js';
import { controlPath, startControl } from '../../shared/run/control.js';
import { readSecretFile, secretFolder, writeSecretFile } from '../../shared/run/files.js';
import { inventoryCommand } from '../../shared/run/inventory.js';
import { formatListen } from '../../shared/run/listen.js';
import type { Log } from '../../shared/run/log.js';
import { type MetricHandles, Metrics } from '../../shared/run/metrics.js';
import { startObserving } from '../../shared/run/observe.js';
import { Secret } from '../../shared/run/secret.js';
import { createApnsEngine } from './apns/create.js';
import type { ApnsEngine } from './apns/engine.js';
import { apnsMetrics } from './apns/metrics.js';
import { apnsEndpoints, apnsKeys } from './apns-keys.js';
import { Apps } from './apps.js';
import { EPOCHS_FOLDER } from './burn.js';
import { Capabilities, type CapabilitiesOptions } from './capabilities/capabilities.js';
import { Epochs } from './capabilities/epochs.js';
import { KeyFolder } from './capabilities/key-folder.js';
import { SealingKeys } from './capabilities/sealing-keys.js';
import type { GatewayConfig } from './config.js';
import { type GatewayFiles, openGatewayFiles } from './files.js';
import { Admission } from './http/admission.js';
import { type ListenerOptions, startListener } from './http/listener.js';
import { createRoutes } from './http/routes.js';
import { gatewayHoldings } from './inventory.js';
import { Addresses } from './limits/addresses.js';
import { DeviceLimits } from './limits/devices.js';
import { FirstContacts } from './limits/first-contacts.js';
import { MemoryGate } from './limits/frame-gate.js';
import { Nonces } from './limits/nonces.js';
import { Subscribers } from './limits/subscribers.js';
import { gatewayMetrics } from './metrics.js';
import { Pusher } from './push/pusher.js';
import { Statements } from './statement.js';

const TAG_KEY_SIZE = 32;
const SAMPLE_MS = 15_000;
/** Pushes under way may end within this time when the gateway stops. */
const CLOSE_GRACE_MS = 3_000;
/** All accounts' nonces together, in multiples of what one may have. */
const NONCE_SHARES = 10;

export interface GatewayDeps {
  readonly log: Log;
  readonly clock?: Clock;
  readonly crypto?: Crypto;
  /** In place of the engine that talks to Apple. */
  readonly engine?: ApnsEngine;
}

export interface Gateway {
  readonly port: number;
  readonly observePort: number;
  /** Of the gateway's address. */
  readonly fingerprint: string;
  close(): Promise<void>;
}

/** Reads keys, checks that every push would fit, opens both listeners. Throws where anything is not usable. */
export async function startGateway(config: GatewayConfig, deps: GatewayDeps): Promise<Gateway> {
  const { log, clock = systemClock, crypto = await loadCrypto() } = deps;
  log.info('crypto loaded', { backend: crypto.backend });
  const files = openGatewayFiles(config, crypto);
  const metrics = new Metrics('porchlight_gateway_');
  const base = { crypto, clock, log, metrics };
  const parts = assemble(config, files, { ...base, handles: metrics.add(gatewayMetrics) }, deps.engine);
  const inventory = inventoryCommand(metrics, gatewayHoldings(config.keys.length), parts.measure);
  const control = await startControl({ path: controlPath(config), commands: { inventory }, clock, log });
  const listener = await startListener({ ...parts, listen: config.listen, metrics: parts.handles });
  const { listen } = config.observe;
  const observing = await startObserving({ listen, metrics, notReady: parts.notReady });
  const { fingerprint } = parts;
  log.info('listening', {
    listen: formatListen({ ...config.listen, port: listener.port }),
    name: fingerprint,
  });
  const sampling = sample(clock, parts.measure);
  return {
    port: listener.port,
    observePort: observing.port,
    fingerprint,
    async close() {
      sampling.cancel();
      listener.stop();
      await parts.engine.close(CLOSE_GRACE_MS);
      await Promise.all([listener.close(), observing.close(), control.close()]);
      parts.forget();
    },
  };
}

interface Base {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
}

interface Observed extends Base {
  readonly metrics: Metrics;
  readonly handles: MetricHandles<typeof gatewayMetrics>;
}

/** Everything behind the listeners, from left to right. */
function assemble(
  config: GatewayConfig,
  { identity, tls }: GatewayFiles,
  base: Observed,
  givenEngine: ApnsEngine | undefined,
) {
  const { crypto, clock, handles } = base;
  const fingerprint = gatewayFingerprint(crypto, identity.publicKey);
  const apps = new Apps(crypto, config.apps);
  const engine = givenEngine ?? makeEngine(config, base);
  const keys = openKeys(config, base);
  const limits = makeLimits(config, crypto, clock);
  const { devices } = limits;

  const serves: CapabilitiesOptions['serves'] = (tag, environment) =>
    apps.find(tag, environment) !== undefined;
  const capabilities = new Capabilities({ ...base, ...keys, serves });
  const statements = new Statements({ ...base, ...keys, identity, apps: apps.all, tlsSpki: tls?.spki });
  const shared = { ...base, ...limits, metrics: handles, capabilities };
  const firstContacts = new FirstContacts(clock);
  const gate = new MemoryGate(devices);
  const frameIds = config.limits.frame_ids;
  const pusher = new Pusher({ ...shared, apps, engine, firstContacts, gate, frameIds });
  const admission = new Admission({ ...shared, fingerprint, listed: listedTags(config, crypto) });
  const statement = () => statements.current();
  const routes = createRoutes({ ...shared, admission, pusher, statement });
  // Makes the first keys, so that a folder that can't be written refuses the start.
  keys.epochs.current();
  statement();

  const measure = () => {
    handles.connections.set(limits.addresses.connections);
    handles.subscribers.set(limits.subscribers.size);
    handles.limited_devices.set(devices.size);
    handles.frame_ids.set(pusher.remembered);
    handles.nonces.set(limits.nonces.size);
    handles.body_bytes.set(admission.bodyBytes);
  };
  const forget = () => {
    keys.close();
    devices.close();
  };
  const fetch: ListenerOptions['fetch'] = (request, env) => routes.fetch(request, env);
  const notReady = () => unreadyApps(apps, engine);
  return { tls, addresses: limits.addresses, engine, handles, fingerprint, fetch, notReady, measure, forget };
}

function makeEngine(config: GatewayConfig, base: Observed): ApnsEngine {
  const metrics: MetricHandles<typeof apnsMetrics> = base.metrics.add(apnsMetrics);
  return createApnsEngine({
    ...base,
    metrics,
    keys: apnsKeys(config, base.log),
    endpoints: apnsEndpoints(config),
    limits: { queued: config.limits.pushes_waiting },
  });
}

/** Everything that lives in the state folder. */
function openKeys(config: GatewayConfig, base: Base) {
  secretFolder(config.state);
  const folder = (name: string, label: string) => new KeyFolder(join(config.state, name), label);
  const epochs = new Epochs({ ...base, folder: folder(EPOCHS_FOLDER, 'epoch root') });
  const sealingKeys = new SealingKeys({ ...base, folder: folder('sealing', 'sealing key') });
  const tagKey = openTagKey(join(config.state, 'device-tag.key'), base.crypto);
  const close = (): void => {
    epochs.close();
    sealingKeys.close();
    tagKey.wipe();
  };
  return { epochs, sealingKeys, tagKey, close };
}

function openTagKey(file: string, crypto: Crypto): Secret {
  if (!existsSync(file)) writeSecretFile(file, crypto.randomBytes(TAG_KEY_SIZE));
  const read = readSecretFile(file);
  const key = new Secret('device tag key', Uint8Array.from(read));
  read.fill(0);
  return key;
}

function makeLimits({ limits, test_environment }: GatewayConfig, crypto: Crypto, clock: Clock) {
  const subscribers = new Subscribers({
    clock,
    capacity: limits.subscribers,
    rate: limits.subscriber_rate,
    newcomerRate: limits.newcomer_rate,
    requests: limits.requests_per_subscriber,
    newcomerRequests: limits.requests_per_subscriber,
    nonces: limits.nonces_per_subscriber,
  });
  const addresses = new Addresses({
    clock,
    connections: limits.connections,
    connectionsPerAddress: limits.connections_per_address,
    failuresPerAddress: limits.failures_per_address,
  });
  const limitsTest = test_environment?.device_limits ?? true;
  const devices = new DeviceLimits({ crypto, clock, capacity: limits.devices, limitsTest });
  return { subscribers, addresses, devices, nonces: new Nonces(limits.nonces_per_subscriber * NONCE_SHARES) };
}

function listedTags({ subscribers }: GatewayConfig, crypto: Crypto): ReadonlySet<string> | undefined {
  if (subscribers.mode === 'open') return undefined;
  return new Set(subscribers.keys.map((key) => latin1(subscriberTag(crypto, fromBase64url(key)!))));
}

/** Ready = pushes of every app may be expected to be taken in one of its environments. */
function unreadyApps(apps: Apps, engine: ApnsEngine): string | undefined {
  const isReady = apps.all.every(({ topic, environments }) =>
    environments.some((environment) => engine.ready({ environment, topic })),
  );
  return isReady ? undefined : 'apns';
}

function sample(clock: Clock, take: () => void): Timer {
  let timer: Timer;
  const run = (): void => {
    take();
    timer = clock.after(SAMPLE_MS, run);
  };
  run();
  return { cancel: () => timer.cancel() };
}
