/** Composition root of the subscriber: the only file that knows every part. */
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { uniform } from '../../shared/crypto/uniform.js';
import { wipe } from '../../shared/encoding/bytes.js';
import { subscriberTag } from '../../shared/relay/identity.js';
import { type Clock, systemClock } from '../../shared/run/clock.js';
import { type ControlSocket, controlPath, lateCommand, startControl } from '../../shared/run/control.js';
import type { InheritedSocket } from '../../shared/run/inherited-sockets.js';
import { inventoryCommand } from '../../shared/run/inventory.js';
import { formatListen, type ListenAddress } from '../../shared/run/listen.js';
import type { Log } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import { type ObserveListener, startObserving } from '../../shared/run/observe.js';
import { measureProcess } from '../../shared/run/process-metrics.js';
import { openStatusPages, type StatusPages } from '../../shared/run/status/pages.js';
import { packageVersion } from '../../shared/run/version.js';
import { parseServer } from '../../shared/smp/address.js';
import { burnCommand } from './burn.js';
import { type NtfListener, startNtfListener } from './clients/listener.js';
import { clientMetrics } from './clients/metrics.js';
import type { SubscriberConfig } from './config.js';
import { assemble, type Base, type Links, openLinks } from './core.js';
import { checkAddresses, Doors, OBSERVE, persistently } from './doors.js';
import { openSubscriberFiles, type SubscriberFiles } from './files.js';
import { gatedLink } from './handover/gate.js';
import { handOverMetrics } from './handover/metrics.js';
import { Predecessor } from './handover/predecessor.js';
import type { Parts } from './handover/state.js';
import { Shift, type TakeOver } from './handover/succession.js';
import { upgradeCommand } from './handover/upgrade.js';
import { SUBSCRIBER_HOLDINGS } from './inventory.js';
import { linkMetrics } from './outbound/metrics.js';
import { type Canaries, startCanaries } from './probe/canaries.js';
import type { CanaryShared } from './probe/canary.js';
import type { GatewayToCheck } from './probe/doctor/command.js';
import type { ListenerToCheck } from './probe/doctor/listeners.js';
import { probeMetrics } from './probe/metrics.js';
import { openUser } from './probe/own-queue.js';
import type { WatchedSink } from './probe/queue-watch.js';
import { unreadyGateway } from './readiness.js';
import type { SmpSource } from './sources/smp/source.js';
import { loadWebSockets } from './sources/smp/websocket-transport.js';
import { subscriberStatus } from './status.js';
import { traceCommand } from './trace.js';

const PROCESS_KEY_SIZE = 32;
const MINUTE_MS = 60_000;

export interface SubscriberDeps {
  readonly log: Log;
  readonly clock?: Clock;
  readonly crypto?: Crypto;
  /** Instead of starting with nothing. */
  readonly takeOver?: TakeOver;
  /** Sockets that listen already, by the names of listeners and `observe`. */
  readonly sockets?: Sockets;
  /** Ends the process, once everything that it held is revoked. */
  readonly end?: () => void;
}

type Sockets = ReadonlyMap<string, InheritedSocket>;

export interface Subscriber {
  /** Port of each listener, by name. */
  readonly ports: ReadonlyMap<string, number>;
  readonly observePort: number;
  /** Resolves when another process has taken over, and this one is needed no longer. */
  readonly replaced: Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads keys, opens all listeners, starts looking for the gateways. Throws where anything is not usable; a subscriber
 * that was to be taken over then serves on.
 */
export async function startSubscriber(config: SubscriberConfig, deps: SubscriberDeps): Promise<Subscriber> {
  const { log, crypto = await loadCrypto(), clock = systemClock, takeOver = false } = deps;
  log.info('crypto loaded', { backend: crypto.backend });
  const files = openSubscriberFiles(config, crypto);
  // Now, since an upgrade may change the program's files while we run.
  if (config.smp.servers.some(({ transport }) => transport === 'websocket')) await loadWebSockets();
  const { identity } = files;
  const path = controlPath(config);
  const shift = await Shift.start({ crypto, clock, identity, log, path, takeOver });
  let service: Service | undefined;
  try {
    service = new Service(config, files, shift, { ...deps, crypto });
    await service.start();
    return service;
  } catch (error) {
    shift.end();
    await service?.close();
    throw error;
  }
}

/** All parts of one subscriber, and the order in which they begin and end. */
class Service implements Subscriber {
  readonly replaced: Promise<void>;
  private readonly config: SubscriberConfig;
  private readonly files: SubscriberFiles;
  private readonly shift: Shift;
  private readonly sockets: Sockets;
  private readonly end: () => void;
  private readonly base: Base;
  private readonly metrics = new Metrics('porchlight_subscriber_');
  private readonly handOver = this.metrics.add(handOverMetrics);
  private readonly clientMetrics = this.metrics.add(clientMetrics);
  private readonly probeMetrics = this.metrics.add(probeMetrics);
  private readonly links: Links;
  /** The same, held still while they are handed over. */
  private readonly gatedLinks: Links;
  private readonly sink: WatchedSink;
  private readonly parts: Parts;
  private readonly predecessor: Predecessor;
  private readonly doors: Doors;
  private measure: (() => void) | undefined;
  private pages: StatusPages | undefined;
  private canaries: Canaries | undefined;

  constructor(
    config: SubscriberConfig,
    files: SubscriberFiles,
    shift: Shift,
    { crypto, log, sockets = new Map(), end = () => {} }: SubscriberDeps & { readonly crypto: Crypto },
  ) {
    const { clock, gate } = shift;
    const { identity } = files;
    this.config = config;
    this.files = files;
    this.shift = shift;
    this.sockets = sockets;
    this.doors = new Doors(new Set([...sockets].flatMap(([name, { isKept }]) => (isKept ? [name] : []))));
    this.end = end;
    this.base = { crypto, clock, log, random: uniform(crypto) };
    const { base, metrics } = this;
    this.links = openLinks(config, { ...base, identity, metrics: metrics.add(linkMetrics) });
    this.gatedLinks = new Map([...this.links].map(([name, link]) => [name, gatedLink(link, gate)]));
    const { journal, sink, ...core } = assemble(
      config,
      files,
      base,
      metrics,
      this.gatedLinks,
      shift.heldClock,
    );
    const processKey = crypto.randomBytes(PROCESS_KEY_SIZE);
    this.sink = sink;
    this.parts = { ...core, processKey, listeners: new Set(config.listeners.map(({ name }) => name)) };
    const tools = { ...base, identity, metrics: this.handOver };
    const release = (): Promise<void> => this.release();
    const { parts, doors } = this;
    this.predecessor = new Predecessor({ ...tools, parts, gate, journal, sink, doors, release });
    this.replaced = this.predecessor.gone;
  }

  get ports(): ReadonlyMap<string, number> {
    return new Map([...this.doors.listeners].map(([name, { port }]) => [name, port]));
  }

  get observePort(): number {
    return this.doors.observing!.port;
  }

  async start(): Promise<void> {
    const { shift, parts, config, doors, base } = this;
    await shift.take(parts, await this.addressesInTheWay());
    const open = <T>(door: () => Promise<T>): Promise<T> =>
      shift.isTakingOver ? persistently(base.clock, door) : door();
    doors.control = await open(() => this.openControl());
    for (const listener of config.listeners) {
      doors.listeners.set(listener.name, await open(() => this.openListener(listener)));
      this.warnOfPort(listener.name, listener.listen, doors.listeners.get(listener.name)!.port);
    }
    doors.observing = await open(() => this.openObserving());
    this.warnOfPort(OBSERVE, config.observe.listen, doors.observing.port);
    await shift.commit(parts, this.handOver);
    shift.begin(parts);
    const probe = { ...base, metrics: this.probeMetrics, source: parts.source, sink: this.sink };
    this.canaries = openCanaries(config, probe);
  }

  async close(): Promise<void> {
    this.shift.end();
    this.predecessor.close();
    await this.canaries?.close();
    await this.parts.source.close();
    if (!this.predecessor.isReplaced) await this.release();
    await this.doors.end();
  }

  /** Lets go of clients, sockets, pushes and secrets; messaging servers may still be heard. */
  private async release(): Promise<void> {
    const { doors, parts, shift, links } = this;
    this.pages?.close();
    void this.canaries?.close();
    const closed = doors.close();
    parts.wake.close();
    parts.registry.close();
    wipe(parts.processKey);
    shift.gate.release();
    await Promise.all([closed, ...[...links.values()].map((link) => link.close())]);
  }

  /** Those for which no socket was inherited must be free, or the predecessor can let go of them: its names of these. */
  private async addressesInTheWay(): Promise<string[]> {
    if (!this.shift.isTakingOver) return [];
    const { listeners, observe } = this.config;
    const all = listeners.map(({ name, listen }, i) => ({ name, key: `listeners.${i}.listen`, listen }));
    all.push({ name: OBSERVE, key: 'observe.listen', listen: observe.listen });
    const isOwn = ({ name }: { readonly name: string }): boolean => !this.sockets.has(name);
    return checkAddresses(all.filter(isOwn), this.shift.addresses.filter(isOwn));
  }

  /** An inherited socket counts, whatever the configuration says: nobody should look for phones at the wrong port. */
  private warnOfPort(name: string, listen: ListenAddress, port: number): void {
    if (!this.sockets.has(name) || listen.port === 0 || listen.port === port) return;
    const event = 'the inherited socket counts, and its port, not listen of the configuration';
    this.base.log.warn(event, { listen: formatListen(listen), port, name });
  }

  private openControl(): Promise<ControlSocket> {
    const { config, files, base, metrics, predecessor, doors, parts, links, sink } = this;
    const { clock, log } = base;
    const { registry, source, wake } = parts;
    const commands = {
      inventory: inventoryCommand(metrics, SUBSCRIBER_HOLDINGS),
      burn: burnCommand({
        ...{ ...base, wake, end: this.end },
        stay: () => predecessor.stay(),
        closeListeners: () => doors.closeListeners(),
      }),
      trace: traceCommand({ clock, wake, holderOf: (queue) => registry.holderOf(queue) }),
      doctor: lateCommand(async () => {
        const { doctorCommand } = await import('./probe/doctor/command.js');
        return doctorCommand({
          ...{ ...base, source, sink, registry, wake },
          gateways: gatewaysToCheck(config, links),
          listeners: () => listenersToCheck(config, files, doors.listeners),
        });
      }),
      upgrade: upgradeCommand({ clock, predecessor, doors }),
    };
    const streams = { 'hand-over': predecessor.serve };
    const { begun } = this.shift;
    return startControl({ path: controlPath(config), commands, streams, clock, log, held: begun });
  }

  private openListener(listener: SubscriberConfig['listeners'][number]): Promise<NtfListener> {
    const { name, listen, topic, gateway } = listener;
    const { base, files, parts, config, shift } = this;
    return startNtfListener({
      ...{ ...base, name, listen, topic, fd: this.sockets.get(name)?.fd },
      metrics: this.clientMetrics,
      identity: files.listeners.get(name)!,
      link: this.gatedLinks.get(gateway)!,
      limits: { connections: config.limits.connections },
      processKey: parts.processKey,
      subscriberTag: subscriberTag(base.crypto, files.identity.publicKey),
      devices: parts.registry,
      wake: parts.wake,
      held: shift.gate.passed,
    });
  }

  private openObserving(): Promise<ObserveListener> {
    const { config, links, metrics, base } = this;
    const { clock, crypto } = base;
    const notReady = (): string | undefined => unreadyGateway(links, config.listeners);
    this.measure ??= measureProcess(metrics, clock, notReady);
    const { measure } = this;
    const status = { description: subscriberStatus, version: packageVersion(), crypto: crypto.backend };
    this.pages ??= openStatusPages({ ...status, clock, metrics, notReady, measure });
    const { routes: pages } = this.pages;
    const socket = { listen: config.observe.listen, fd: this.sockets.get(OBSERVE)?.fd };
    return startObserving({ ...socket, metrics, notReady, measure, pages });
  }
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
