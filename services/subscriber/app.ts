/** Composition root of the subscriber: the only file that knows every part. */
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { uniform } from '../../shared/crypto/uniform.js';
import { subscriberTag } from '../../shared/relay/identity.js';
import { type Clock, systemClock } from '../../shared/run/clock.js';
import { controlPath, startControl } from '../../shared/run/control.js';
import { inventoryCommand } from '../../shared/run/inventory.js';
import type { Log } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import { startObserving } from '../../shared/run/observe.js';
import { measureProcess } from '../../shared/run/process-metrics.js';
import { openStatusPages } from '../../shared/run/status/pages.js';
import { packageVersion } from '../../shared/run/version.js';
import { parseServer, type SmpQueue } from '../../shared/smp/address.js';
import { burnCommand } from './burn.js';
import { type NtfListener, type NtfListenerOptions, startNtfListener } from './clients/listener.js';
import { clientMetrics } from './clients/metrics.js';
import type { SubscriberConfig } from './config.js';
import { openSubscriberFiles, type SubscriberFiles } from './files.js';
import { SUBSCRIBER_HOLDINGS } from './inventory.js';
import { dialThrough } from './outbound/connector.js';
import type { GatewayLink } from './outbound/gateway-link.js';
import { createGatewayLink } from './outbound/link.js';
import { linkMetrics } from './outbound/metrics.js';
import { type Canaries, startCanaries } from './probe/canaries.js';
import type { CanaryShared } from './probe/canary.js';
import { doctorCommand, type GatewayToCheck } from './probe/doctor/command.js';
import type { ListenerToCheck } from './probe/doctor/listeners.js';
import { probeMetrics } from './probe/metrics.js';
import { openUser } from './probe/own-queue.js';
import { MAX_WATCHES, WatchedSink } from './probe/queue-watch.js';
import { unreadyGateway } from './readiness.js';
import { MemoryRegistry } from './registry/memory-registry.js';
import { registryMetrics } from './registry/metrics.js';
import { smpAddressForm } from './registry/smp-address-form.js';
import { smpMetrics } from './sources/smp/metrics.js';
import { type NotifierKey, SmpSource } from './sources/smp/source.js';
import { wayOf } from './sources/smp/ways-config.js';
import { subscriberStatus } from './status.js';
import { traceCommand } from './trace.js';
import { createWakeEngine, type WakeListener } from './wake/engine.js';
import { wakeMetrics } from './wake/metrics.js';

const PROCESS_KEY_SIZE = 32;
const MINUTE_MS = 60_000;

export interface SubscriberDeps {
  readonly log: Log;
  readonly clock?: Clock;
  readonly crypto?: Crypto;
  /** Ends the process, once everything that it held is revoked. */
  readonly end?: () => void;
}

export interface Subscriber {
  /** Port of each listener, by name. */
  readonly ports: ReadonlyMap<string, number>;
  readonly observePort: number;
  close(): Promise<void>;
}

/** Reads keys, opens all listeners, starts looking for the gateways. Throws where anything is not usable. */
export async function startSubscriber(config: SubscriberConfig, deps: SubscriberDeps): Promise<Subscriber> {
  const { log, clock = systemClock, crypto = await loadCrypto() } = deps;
  log.info('crypto loaded', { backend: crypto.backend });
  const files = openSubscriberFiles(config, crypto);
  const metrics = new Metrics('porchlight_subscriber_');
  const base = { crypto, clock, log, random: uniform(crypto) };

  const { identity } = files;
  const links = openLinks(config, { ...base, identity, metrics: metrics.add(linkMetrics) });
  const { registry, sink, source, wake } = assemble(config, files, base, metrics, links);
  let listeners: ReadonlyMap<string, NtfListener> = new Map();
  const commands = {
    inventory: inventoryCommand(metrics, SUBSCRIBER_HOLDINGS),
    burn: burnCommand({
      ...base,
      wake,
      closeListeners: () => closeAll(listeners),
      end: deps.end ?? (() => {}),
    }),
    trace: traceCommand({ clock, wake, holderOf: (queue) => registry.holderOf(queue) }),
    doctor: doctorCommand({
      ...base,
      source,
      sink,
      registry,
      wake,
      gateways: gatewaysToCheck(config, links),
      listeners: () => listenersToCheck(config, files, listeners),
    }),
  };
  const control = await startControl({ path: controlPath(config), commands, clock, log });
  listeners = await openListeners(config, files, links, {
    ...base,
    metrics: metrics.add(clientMetrics),
    processKey: crypto.randomBytes(PROCESS_KEY_SIZE),
    subscriberTag: subscriberTag(crypto, identity.publicKey),
    devices: registry,
    wake,
  });
  const notReady = () => unreadyGateway(links, config.listeners);
  const measure = measureProcess(metrics, clock, notReady);
  const status = { description: subscriberStatus, version: packageVersion(), crypto: crypto.backend };
  const pages = openStatusPages({ ...status, clock, metrics, notReady, measure });
  const { listen } = config.observe;
  const observing = await startObserving({ listen, metrics, notReady, measure, pages: pages.routes });

  const canaries = openCanaries(config, { ...base, metrics: metrics.add(probeMetrics), source, sink });

  return {
    ports: new Map([...listeners].map(([name, { port }]) => [name, port])),
    observePort: observing.port,
    async close() {
      pages.close();
      await closeAll(listeners);
      await canaries.close();
      await source.close();
      wake.close();
      registry.close();
      await Promise.all([
        ...[...links.values()].map((link) => link.close()),
        observing.close(),
        control.close(),
      ]);
    },
  };
}

const closeAll = async (listeners: ReadonlyMap<string, NtfListener>): Promise<void> => {
  await Promise.all([...listeners.values()].map((listener) => listener.close()));
};

interface Base {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

type Links = ReadonlyMap<string, GatewayLink>;

/** Everything between the messaging servers and the gateways, from left to right. */
function assemble(
  config: SubscriberConfig,
  { service }: SubscriberFiles,
  base: Base,
  metrics: Metrics,
  links: Links,
) {
  const { limits, smp } = config;
  const registry = new MemoryRegistry<SmpQueue, NotifierKey>({
    ...base,
    metrics: metrics.add(registryMetrics),
    form: smpAddressForm,
    limits: {
      devices: limits.devices,
      unverifiedDevices: limits.unverified_devices,
      subscriptions: limits.subscriptions,
      subscriptionsPerDevice: limits.subscriptions_per_device,
    },
  });
  const sink = new WatchedSink(registry, base.clock);
  const source = new SmpSource({
    ...base,
    sink,
    metrics: metrics.add(smpMetrics),
    service,
    proxy: smp.socks_proxy,
    isolation: smp.isolation,
    allow: smp.allow_networks,
    ways: smp.servers.map(wayOf),
    limits: { queues: limits.subscriptions + MAX_WATCHES, servers: smp.max_servers },
  });
  const wake = createWakeEngine({
    ...base,
    metrics: metrics.add(wakeMetrics),
    devices: registry,
    queues: registry,
    listeners: config.listeners.map((listener) => wakeListener(listener, links)),
    limits: { devices: limits.devices, mailboxEntries: limits.mailbox_entries },
  });
  registry.connect(source, wake);
  return { registry, sink, source, wake };
}

const wakeListener = (listener: SubscriberConfig['listeners'][number], links: Links): WakeListener => ({
  name: listener.name,
  link: links.get(listener.gateway)!,
  profile: listener.profile,
  mode: listener.mode,
  class: listener.class,
  coalesceMs: listener.coalesce_ms,
  delayMs: listener.delay_ms,
});

type ListenerBase = Omit<NtfListenerOptions, 'name' | 'listen' | 'topic' | 'identity' | 'link' | 'limits'>;

/** By name, each listening. */
async function openListeners(
  config: SubscriberConfig,
  files: SubscriberFiles,
  links: Links,
  base: ListenerBase,
): Promise<Map<string, NtfListener>> {
  const limits = { connections: config.limits.connections };
  const opened = new Map<string, NtfListener>();
  for (const listener of config.listeners) {
    const { name, listen, topic, gateway } = listener;
    const identity = files.listeners.get(name)!;
    const link = links.get(gateway)!;
    opened.set(name, await startNtfListener({ ...base, name, listen, topic, identity, link, limits }));
  }
  return opened;
}

type LinkBase = Omit<Parameters<typeof createGatewayLink>[0], 'address' | 'tls'>;

function openLinks(config: SubscriberConfig, base: LinkBase): Map<string, GatewayLink> {
  const links = new Map<string, GatewayLink>();
  for (const { name, address, ca_file, socks_proxy } of config.gateways) {
    const way = socks_proxy && { dial: dialThrough(socks_proxy) };
    links.set(name, createGatewayLink({ ...base, ...way, address, tls: { caFile: ca_file } }));
  }
  return links;
}

type CanaryBase = Base & Pick<CanaryShared, 'metrics' | 'sink'> & { readonly source: SmpSource };

const openCanaries = ({ smp }: SubscriberConfig, base: CanaryBase): Canaries =>
  startCanaries(
    smp.canaries.map((text) => parseServer(text)),
    {
      ...base,
      openUser: (server, ms) => openUser(base, server, ms),
      intervalMs: smp.canary_minutes * MINUTE_MS,
    },
  );

const gatewaysToCheck = (config: SubscriberConfig, links: Links): GatewayToCheck[] =>
  [...links].map(([name, link]) => {
    const apps = config.listeners.filter(({ gateway }) => gateway === name);
    return { name, link, apps };
  });

const listenersToCheck = (
  config: SubscriberConfig,
  files: SubscriberFiles,
  opened: ReadonlyMap<string, NtfListener>,
): ListenerToCheck[] =>
  config.listeners.map(({ name, listen: { host, port } }) => {
    const { keyHash } = files.listeners.get(name)!;
    return { name, host, port: opened.get(name)?.port ?? port, keyHash };
  });
