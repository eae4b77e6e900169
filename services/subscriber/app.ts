/** Composition root of the subscriber: the only file that knows every part. */
import type { Crypto } from '../../shared/crypto/crypto.js';
import { readIdentityKey } from '../../shared/crypto/identity-key.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { uniform } from '../../shared/crypto/uniform.js';
import { subscriberTag } from '../../shared/relay/identity.js';
import { type Clock, systemClock } from '../../shared/run/clock.js';
import { checkFiles } from '../../shared/run/config.js';
import { controlPath, startControl } from '../../shared/run/control.js';
import { inventoryCommand } from '../../shared/run/inventory.js';
import type { Log } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import { startObserving } from '../../shared/run/observe.js';
import type { SmpQueue } from '../../shared/smp/address.js';
import { type NtfListener, startNtfListener } from './clients/listener.js';
import { clientMetrics } from './clients/metrics.js';
import type { SubscriberConfig } from './config.js';
import { listenerIdentity, subscriberFiles } from './files.js';
import { SUBSCRIBER_HOLDINGS } from './inventory.js';
import { dialThrough } from './outbound/connector.js';
import type { GatewayLink } from './outbound/gateway-link.js';
import { createGatewayLink } from './outbound/link.js';
import { linkMetrics } from './outbound/metrics.js';
import { unreadyGateway } from './readiness.js';
import { MemoryRegistry } from './registry/memory-registry.js';
import { registryMetrics } from './registry/metrics.js';
import { smpAddressForm } from './registry/smp-address-form.js';
import { smpMetrics } from './sources/smp/metrics.js';
import { loadServiceIdentity } from './sources/smp/service-identity.js';
import { type NotifierKey, SmpSource } from './sources/smp/source.js';
import { traceCommand } from './trace.js';
import { createWakeEngine } from './wake/engine.js';
import { wakeMetrics } from './wake/metrics.js';

const PROCESS_KEY_SIZE = 32;

export interface SubscriberDeps {
  readonly log: Log;
  readonly clock?: Clock;
  readonly crypto?: Crypto;
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
  checkFiles(subscriberFiles(config, crypto));
  const metrics = new Metrics('porchlight_subscriber_');
  const base = { crypto, clock, log, random: uniform(crypto) };

  const identity = readIdentityKey(crypto, config.identity_key);
  const identities = new Map(
    config.listeners.map((listener) => [listener.name, listenerIdentity(crypto, listener)]),
  );
  const links = openLinks(config, { ...base, identity, metrics: metrics.add(linkMetrics) });

  const registry = new MemoryRegistry<SmpQueue, NotifierKey>({
    ...base,
    metrics: metrics.add(registryMetrics),
    form: smpAddressForm,
    limits: {
      devices: config.limits.devices,
      unverifiedDevices: config.limits.unverified_devices,
      subscriptions: config.limits.subscriptions,
      subscriptionsPerDevice: config.limits.subscriptions_per_device,
    },
  });
  const source = new SmpSource({
    ...base,
    sink: registry,
    metrics: metrics.add(smpMetrics),
    service: serviceOf(config, crypto),
    proxy: config.smp.socks_proxy,
    isolation: config.smp.isolation,
    allow: config.smp.allow_networks,
    limits: { queues: config.limits.subscriptions, servers: config.smp.max_servers },
  });
  const wake = createWakeEngine({
    ...base,
    metrics: metrics.add(wakeMetrics),
    devices: registry,
    queues: registry,
    listeners: config.listeners.map((listener) => ({
      name: listener.name,
      link: links.get(listener.gateway)!,
      profile: listener.profile,
      mode: listener.mode,
      class: listener.class,
      coalesceMs: listener.coalesce_ms,
      delayMs: listener.delay_ms,
    })),
    limits: { devices: config.limits.devices, mailboxEntries: config.limits.mailbox_entries },
  });
  registry.connect(source, wake);

  const commands = {
    inventory: inventoryCommand(metrics, SUBSCRIBER_HOLDINGS),
    trace: traceCommand({ clock, wake, holderOf: (queue) => registry.holderOf(queue) }),
  };
  const control = await startControl({ path: controlPath(config), commands, clock, log });

  const clients = {
    ...base,
    metrics: metrics.add(clientMetrics),
    processKey: crypto.randomBytes(PROCESS_KEY_SIZE),
    subscriberTag: subscriberTag(crypto, identity.publicKey),
    devices: registry,
    wake,
    limits: { connections: config.limits.connections },
  };
  const listeners = new Map<string, NtfListener>();
  for (const { name, listen, topic, gateway } of config.listeners) {
    const options = {
      ...clients,
      name,
      listen,
      topic,
      identity: identities.get(name)!,
      link: links.get(gateway)!,
    };
    listeners.set(name, await startNtfListener(options));
  }
  const observing = await startObserving({
    listen: config.observe.listen,
    metrics,
    notReady: () => unreadyGateway(links, config.listeners),
  });

  return {
    ports: new Map([...listeners].map(([name, { port }]) => [name, port])),
    observePort: observing.port,
    async close() {
      await Promise.all([...listeners.values()].map((listener) => listener.close()));
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

function serviceOf(
  { smp }: SubscriberConfig,
  crypto: Crypto,
): ReturnType<typeof loadServiceIdentity> | undefined {
  const file = smp.service_certificate;
  return file === undefined ? undefined : loadServiceIdentity(crypto, file);
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
