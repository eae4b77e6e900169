/** What runs between the messaging servers and the gateways, put together from left to right. */
import type { Crypto } from '../../shared/crypto/crypto.js';
import type { Clock } from '../../shared/run/clock.js';
import type { Log } from '../../shared/run/log.js';
import type { Metrics } from '../../shared/run/metrics.js';
import type { SmpQueue } from '../../shared/smp/address.js';
import type { SubscriberConfig } from './config.js';
import type { SubscriberFiles } from './files.js';
import { Journal } from './handover/journal.js';
import { dialThrough } from './outbound/connector.js';
import type { GatewayLink } from './outbound/gateway-link.js';
import { createGatewayLink } from './outbound/link.js';
import { jointMetrics } from './outbound/metrics.js';
import { MAX_WATCHES, WatchedSink } from './probe/queue-watch.js';
import { MemoryRegistry } from './registry/memory-registry.js';
import { registryMetrics } from './registry/metrics.js';
import { smpAddressForm } from './registry/smp-address-form.js';
import { smpMetrics } from './sources/smp/metrics.js';
import { type NotifierKey, SmpSource } from './sources/smp/source.js';
import { wayOf } from './sources/smp/ways-config.js';
import { createWakeEngine, type WakeListener } from './wake/engine.js';
import { wakeMetrics } from './wake/metrics.js';

/** What every part is given. */
export interface Base {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** By the names of gateways. */
export type Links = ReadonlyMap<string, GatewayLink>;

/** Everything between the messaging servers and the gateways, from left to right. */
export function assemble(
  config: SubscriberConfig,
  { service }: SubscriberFiles,
  base: Base,
  metrics: Metrics,
  links: Links,
  heldClock: Clock,
) {
  const { limits, smp } = config;
  const registry = new MemoryRegistry<SmpQueue, NotifierKey>({
    ...base,
    clock: heldClock,
    metrics: metrics.add(registryMetrics),
    form: smpAddressForm,
    limits: {
      devices: limits.devices,
      unverifiedDevices: limits.unverified_devices,
      subscriptions: limits.subscriptions,
      subscriptionsPerDevice: limits.subscriptions_per_device,
    },
  });
  const journal = new Journal(registry);
  const sink = new WatchedSink(journal, base.clock);
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
    clock: heldClock,
    metrics: metrics.add(wakeMetrics),
    devices: registry,
    queues: registry,
    listeners: config.listeners.map((listener) => wakeListener(listener, links)),
    limits: {
      devices: limits.devices,
      mailboxEntries: limits.mailbox_entries,
      testBudgets: limits.test_device_budgets,
    },
  });
  registry.connect(source, wake);
  return { registry, sink, source, wake, journal };
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

type LinkBase = Omit<Parameters<typeof createGatewayLink>[0], 'address' | 'tls'>;

export function openLinks(config: SubscriberConfig, base: LinkBase): Map<string, GatewayLink> {
  const links = new Map<string, GatewayLink>();
  const metricsOfNext = jointMetrics(base.metrics);
  for (const { name, address, ca_file, socks_proxy } of config.gateways) {
    const way = socks_proxy && { dial: dialThrough(socks_proxy) };
    links.set(
      name,
      createGatewayLink({ ...base, ...way, metrics: metricsOfNext(), address, tls: { caFile: ca_file } }),
    );
  }
  return links;
}
