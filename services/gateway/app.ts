/** Composition root of the gateway: the only file that knows every part. */
import { join } from 'node:path';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { gatewayFingerprint } from '../../shared/relay/identity.js';
import { addressBlock } from '../../shared/run/address-block.js';
import { type Clock, seconds, systemClock } from '../../shared/run/clock.js';
import { controlPath, startControl } from '../../shared/run/control.js';
import { secretFolder } from '../../shared/run/files.js';
import { inventoryCommand } from '../../shared/run/inventory.js';
import { formatListen } from '../../shared/run/listen.js';
import type { Log } from '../../shared/run/log.js';
import { type MetricHandles, Metrics } from '../../shared/run/metrics.js';
import { startObserving } from '../../shared/run/observe.js';
import { measureProcess } from '../../shared/run/process-metrics.js';
import { openStatusPages } from '../../shared/run/status/pages.js';
import { packageVersion } from '../../shared/run/version.js';
import { createApnsEngine } from './apns/create.js';
import type { ApnsEngine } from './apns/engine.js';
import { apnsMetrics } from './apns/metrics.js';
import { apnsEndpoints, apnsKeys } from './apns-keys.js';
import { Apps } from './apps.js';
import { EPOCHS_FOLDER } from './burn.js';
import { Capabilities, type CapabilitiesOptions } from './capabilities/capabilities.js';
import { Epochs } from './capabilities/epochs.js';
import { KeyFolder } from './capabilities/key-folder.js';
import { openRevocations } from './capabilities/open-revocations.js';
import { Revoking } from './capabilities/revoking.js';
import { SealingKeys } from './capabilities/sealing-keys.js';
import { openSharedKey } from './capabilities/shared-key.js';
import type { GatewayConfig } from './config.js';
import { subscriberCommands } from './control.js';
import { type Counting, openCounting } from './counting.js';
import { type GatewayFiles, openGatewayFiles } from './files.js';
import { Admission } from './http/admission.js';
import { clientAddresses } from './http/client-address.js';
import { type Listener, type ListenerOptions, startListener } from './http/listener.js';
import { createRoutes } from './http/routes.js';
import { gatewayHoldings } from './inventory.js';
import { Addresses, ONION_BLOCK, PROXY_BLOCK } from './limits/addresses.js';
import { FirstContacts } from './limits/first-contacts.js';
import { OwnerRevocations } from './limits/owner-revocations.js';
import { Roster } from './limits/roster.js';
import { Subscribers } from './limits/subscribers.js';
import { gatewayMetrics } from './metrics.js';
import { Doubts } from './push/doubts.js';
import { Pusher } from './push/pusher.js';
import { Statements } from './statement.js';
import { gatewayStatus } from './status.js';

/** Pushes under way may end within this time when the gateway stops. */
const CLOSE_GRACE_MS = 3_000;
/** Requests of all newcomers that run at once, in multiples of what one subscriber may have. */
const NEWCOMER_REQUESTS = 4;

export interface GatewayDeps {
  readonly log: Log;
  readonly clock?: Clock;
  readonly crypto?: Crypto;
  /** In place of the engine that talks to Apple. */
  readonly engine?: ApnsEngine;
}

export interface Gateway {
  readonly port: number;
  /** Where a Tor daemon connects, if that is configured. */
  readonly onionPort: number | undefined;
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
  const handles = metrics.add(gatewayMetrics);
  const counting = await openCounting(config, files, base);
  const parts = assemble(config, files, { ...base, handles, counting }, deps.engine);
  const inventory = inventoryCommand(metrics, gatewayHoldings(config.keys.length), parts.measure);
  const commands = { inventory, ...parts.commands };
  const control = await startControl({ path: controlPath(config), commands, clock, log });
  // Nothing that was revoked passes, not even the first push.
  await counting.start();
  await parts.revocations.start();
  const listener = await startListener({ ...parts, listen: config.listen, metrics: parts.handles });
  const onion = await startOnionListener(config, parts);
  const { listen } = config.observe;
  const { notReady } = parts;
  const measure = both(parts.measure, measureProcess(metrics, clock, notReady));
  const status = { description: gatewayStatus, version: packageVersion(), crypto: crypto.backend };
  const pages = openStatusPages({ ...status, clock, metrics, notReady, measure });
  const observing = await startObserving({ listen, metrics, notReady, measure, pages: pages.routes });
  const { fingerprint } = parts;
  log.info('listening', {
    listen: formatListen({ ...config.listen, port: listener.port }),
    name: fingerprint,
  });
  return {
    port: listener.port,
    onionPort: onion?.port,
    observePort: observing.port,
    fingerprint,
    async close() {
      pages.close();
      listener.stop();
      onion?.stop();
      counting.stop();
      await parts.engine.close(CLOSE_GRACE_MS);
      await Promise.all([listener.close(), onion?.close(), observing.close(), control.close()]);
      await counting.close();
      await parts.forget();
    },
  };
}

type Parts = ReturnType<typeof assemble>;

/** The same endpoints for what a Tor daemon brings, in a common pool of its own. */
function startOnionListener({ onion_listen }: GatewayConfig, parts: Parts): Promise<Listener | undefined> {
  if (onion_listen === undefined) return Promise.resolve(undefined);
  const fetch: ListenerOptions['fetch'] = (request, env) =>
    parts.routes.fetch(request, { ...env, pool: ONION_BLOCK });
  const blockOf = () => ONION_BLOCK;
  return startListener({ ...parts, listen: onion_listen, metrics: parts.handles, blockOf, fetch });
}

interface Base {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
}

interface Observed extends Base {
  readonly metrics: Metrics;
  readonly handles: MetricHandles<typeof gatewayMetrics>;
  readonly counting: Counting;
}

/** Everything behind the listeners, from left to right. */
function assemble(
  config: GatewayConfig,
  { identity, tls }: GatewayFiles,
  base: Observed,
  givenEngine: ApnsEngine | undefined,
) {
  const { crypto, clock, handles, counting } = base;
  const fingerprint = gatewayFingerprint(crypto, identity.publicKey);
  const apps = new Apps(crypto, config.apps);
  const engine = givenEngine ?? makeEngine(config, base);
  const keys = openKeys(config, base);
  const limits = makeLimits(config, clock);
  const { subscribers } = limits;
  const roster = makeRoster(config, base);
  const clients = clientAddresses(config.trusted_proxies);

  const serves: CapabilitiesOptions['serves'] = (tag, environment) =>
    apps.find(tag, environment) !== undefined;
  const hasOneSubscriber: CapabilitiesOptions['hasOneSubscriber'] = (tag, environment) =>
    apps.find(tag, environment)?.hasOneSubscriber === true;
  const { revocations } = keys;
  const capabilities = new Capabilities({ ...base, ...keys, serves, hasOneSubscriber });
  const allowance = new OwnerRevocations(clock, limits.subscribers);
  const revoking = new Revoking({ ...base, ...keys, capabilities, serves, allowance });
  const statements = new Statements({ ...base, ...keys, identity, apps: apps.all, tlsSpki: tls?.spki });
  const shared = {
    ...base,
    ...limits,
    gate: counting.gate,
    nonces: counting.nonces,
    metrics: handles,
    capabilities,
    revocations,
    revoking,
    roster,
  };
  const firstContacts = makeFirstContacts(config, clock, subscribers);
  const doubts = new Doubts({ ...base, subscribers: () => subscribers.size });
  const frameIds = config.limits.frame_ids;
  const pusher = new Pusher({ ...shared, apps, engine, firstContacts, doubts, frameIds });
  const admission = new Admission({ ...shared, fingerprint, noncesSince: seconds(clock) });
  const statement = () => statements.current();
  const routes = createRoutes({ ...shared, clients, admission, pusher, statement });
  // Makes the first keys, so that a folder that can't be written refuses the start.
  keys.epochs.current();
  statement();

  const measure = () => {
    handles.connections.set(limits.addresses.connections);
    handles.subscribers.set(limits.subscribers.size);
    handles.limited_devices.set(counting.devices);
    handles.frame_ids.set(pusher.remembered);
    handles.nonces.set(counting.nonces.size);
    handles.body_bytes.set(admission.bodyBytes);
    handles.address_blocks.set(limits.addresses.size);
    handles.first_contact_sources.set(firstContacts.size);
    handles.doubted_devices.set(doubts.size);
    handles.refusal_breakers_open.set(doubts.openBreakers);
    revocations.measure();
  };
  const forget = () => {
    doubts.close();
    return keys.close();
  };
  const fetch: ListenerOptions['fetch'] = (request, env) => routes.fetch(request, env);
  const blockOf: ListenerOptions['blockOf'] = (remote) =>
    clients.isProxy(remote) ? PROXY_BLOCK : addressBlock(remote);
  const listening = { tls, addresses: limits.addresses, handles, routes, fetch, blockOf };
  const commands = subscriberCommands(roster, subscribers);
  const notReady = () => unreadyApps(apps, engine, doubts);
  return { ...listening, engine, revocations, fingerprint, commands, notReady, measure, forget };
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
function openKeys(config: GatewayConfig, base: Observed) {
  secretFolder(config.state);
  const folder = (name: string, label: string) => new KeyFolder(join(config.state, name), label);
  const epochs = new Epochs({ ...base, folder: folder(EPOCHS_FOLDER, 'epoch root') });
  const sealingKeys = new SealingKeys({ ...base, folder: folder('sealing', 'sealing key') });
  const tagKey = openSharedKey(base.crypto, join(config.state, 'device-tag.key'), 'device tag key');
  const revocations = openRevocations(config, base, base.counting.revocations);
  /** Resolves when what Apple said last has been saved. */
  const close = (): Promise<void> => {
    epochs.close();
    sealingKeys.close();
    tagKey.wipe();
    return revocations.close();
  };
  return { epochs, sealingKeys, tagKey, revocations, close };
}

function makeLimits({ limits }: GatewayConfig, clock: Clock) {
  const subscribers = new Subscribers({
    clock,
    capacity: limits.subscribers,
    rate: limits.subscriber_rate,
    newcomerRate: limits.newcomer_rate,
    requests: limits.requests_per_subscriber,
    newcomerRequests: limits.requests_per_subscriber * NEWCOMER_REQUESTS,
    nonces: limits.nonces_per_subscriber,
  });
  const addresses = new Addresses({
    clock,
    connections: limits.connections,
    connectionsPerAddress: limits.connections_per_address,
    onionConnections: limits.onion_connections,
    failuresPerAddress: limits.failures_per_address,
    newcomersPerAddress: limits.newcomer_rate_per_address,
    newcomers: limits.newcomer_rate,
  });
  return { subscribers, addresses };
}

function makeFirstContacts({ limits }: GatewayConfig, clock: Clock, subscribers: Subscribers): FirstContacts {
  const { first_contact_rate: rate, first_contact_percent: percent } = limits;
  return new FirstContacts({ clock, rate, percent, isEstablished: (tag) => subscribers.has(tag) });
}

function makeRoster({ subscribers, state }: GatewayConfig, base: Base): Roster {
  return new Roster({ ...base, ...subscribers, file: join(state, 'subscribers.json') });
}

/** Ready = pushes of every app may be expected to be taken, as far as Apple's answers tell. */
function unreadyApps(apps: Apps, engine: ApnsEngine, doubts: Doubts): string | undefined {
  const isReady = apps.all.every(({ topic, environments }) =>
    environments.every((environment) => {
      const target = { environment, topic };
      return engine.ready(target) && !doubts.isOpen(target);
    }),
  );
  return isReady ? undefined : 'apns';
}

const both = (first: () => void, second: () => void) => () => {
  first();
  second();
};
