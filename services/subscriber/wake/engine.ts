/**
 * The wake engine put together: signals of queues and wishes of clients in, pushes out at the gateway links. Keeps
 * one pager per device; the work is in the parts it joins.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { SmpQueue } from '../../../shared/smp/address.js';
import type { GatewayLink } from '../outbound/gateway-link.js';
import type { Device } from '../registry/device.js';
import type { DeviceStates, QueuePlaces } from '../registry/registry.js';
import { type BurnProgress, burnAll } from './burning.js';
import { Dispatcher } from './dispatcher.js';
import { Farewells } from './farewells.js';
import { Lane } from './lane.js';
import { MailboxPool } from './mailbox-pool.js';
import type { wakeMetrics } from './metrics.js';
import { Milestones, type Watcher } from './milestones.js';
import { Pager } from './pager.js';
import type { PagerState } from './pager-state.js';
import { PorchlightSealer } from './porchlight-seal.js';
import type { PushStyle, Route } from './route.js';
import { MessageSealer } from './seal.js';
import { Vault } from './vault.js';
import { Verification } from './verification.js';
import type { WakeEngine } from './wake.js';

/** One listener: one app of one gateway. */
export interface WakeListener extends PushStyle {
  readonly name: string;
  readonly link: GatewayLink;
}

export interface WakeEngineOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof wakeMetrics>;
  readonly listeners: readonly WakeListener[];
  readonly devices: DeviceStates;
  readonly queues: QueuePlaces<SmpQueue>;
  /** Uniform in [0, 1): spreads checks. */
  readonly random: () => number;
  readonly limits: {
    readonly devices: number;
    /** Signals kept for all devices together. */
    readonly mailboxEntries: number;
    /** False: devices in the gateway's test environment have no budgets. */
    readonly testBudgets?: boolean;
  };
}

const EPOCH_SIZE = 2;

export function createWakeEngine(options: WakeEngineOptions): WakeEngine {
  return new Engine(options);
}

class Engine implements WakeEngine {
  private readonly options: WakeEngineOptions;
  private readonly pool: MailboxPool;
  private readonly vault: Vault;
  private readonly milestones: Milestones;
  private readonly verification: Verification;
  private readonly dispatcher: Dispatcher;
  private readonly farewells: Farewells;
  private readonly routes = new Map<string, Route>();
  private readonly lanes = new Map<GatewayLink, Lane>();
  /** By the device's slot. */
  private readonly pagers: (Pager | undefined)[] = [];

  constructor(options: WakeEngineOptions) {
    const { limits, devices: states, queues } = options;
    const resume = (pager: Pager): void => this.dispatcher.pump(pager);
    const vault = new Vault(limits.devices);
    this.vault = vault;
    this.options = options;
    this.pool = new MailboxPool(limits.mailboxEntries);
    const { clock, metrics } = options;
    this.milestones = new Milestones(clock, (seconds) => metrics.wake_seal_seconds.observe(seconds));
    this.farewells = new Farewells(options);
    this.verification = new Verification({ ...options, states, vault, farewells: this.farewells, resume });
    const sealers = {
      simplex: new MessageSealer(options.crypto, (ref) => queues.address(ref)),
      porchlight: new PorchlightSealer(options.crypto, (ref) => queues.subscriptionId(ref)),
    };
    const { pool, milestones } = this;
    this.dispatcher = new Dispatcher({ ...options, vault, pool, sealers, milestones }, this.verification);
    const laneEvents = { resume, waitingChanged: () => this.countWaiting() };
    const isOnlyServer = (ref: number): boolean => queues.isOnlyServer(ref);
    for (const { name, link, ...style } of options.listeners) {
      const lane = this.lanes.get(link) ?? new Lane(link, options.clock, laneEvents);
      this.lanes.set(link, lane);
      this.routes.set(name, { ...style, lane, isOnlyServer, testBudgets: limits.testBudgets ?? true });
    }
  }

  signal(device: Device, ref: number, nonce: Uint8Array, metadata: Uint8Array): void {
    const { queues, clock, metrics, log, random } = this.options;
    log.debug('signal received');
    const pager = this.pager(device);
    pager.expectNews(clock.monotonic(), pager.route.delayMs > 0 ? random() : 0);
    const result = pager.mailbox.put(ref, queues.server(ref), seconds(clock), nonce, metadata);
    metrics.wake_signals_total.inc({ result });
    this.milestones.received(pager, ref, result);
    metrics.wake_mailbox_entries.set(this.pool.size);
    if (pager.mailbox.hasFlags) this.dispatcher.flagged(pager);
    this.dispatcher.pump(pager);
  }

  maybeMissed(device: Device): void {
    const pager = this.pager(device);
    pager.mailbox.miss();
    this.dispatcher.flagged(pager);
    this.dispatcher.pump(pager);
  }

  verify(device: Device): void {
    const pager = this.pager(device);
    const { devices } = this.options;
    if (pager.generation !== device.generation) {
      this.verification.giveUp(pager);
      pager.restart();
      this.verification.drop(pager);
    }
    if (device.environment === 'none') {
      if (device.status === 'registered') devices.setStatus(device, 'confirmed');
      return;
    }
    pager.wantsVerification = true;
    this.dispatcher.pump(pager);
  }

  giveUp(device: Device): void {
    const pager = this.pagers[device.slot];
    if (pager !== undefined) this.verification.giveUp(pager);
  }

  prove(device: Device, code: Uint8Array): ReturnType<WakeEngine['prove']> {
    return this.verification.prove(this.pager(device), code);
  }

  checksChanged(device: Device): void {
    const pager = this.pager(device);
    pager.setChecks(this.options.clock.monotonic(), this.options.random());
    this.dispatcher.pump(pager);
  }

  dropQueue(device: Device, ref: number): void {
    this.pagers[device.slot]?.mailbox.dropQueue(ref);
    this.options.metrics.wake_mailbox_entries.set(this.pool.size);
  }

  forget(device: Device): void {
    const pager = this.pagers[device.slot];
    if (pager === undefined) return;
    this.pagers[device.slot] = undefined;
    pager.isGone = true;
    pager.land();
    pager.mailbox.clear();
    this.verification.drop(pager);
    this.dispatcher.forget(pager);
    this.options.metrics.wake_mailbox_entries.set(this.pool.size);
  }

  burn(say: (progress: BurnProgress) => void, gone: AbortSignal): Promise<BurnProgress> {
    const held = this.pagers.map((pager) => pager && this.verification.held(pager));
    const all = held.filter((item) => item !== undefined);
    return burnAll(all, { ...this.options, say, gone });
  }

  watch(ref: number, watcher: Watcher): (() => void) | undefined {
    return this.milestones.watch(ref, watcher);
  }

  get secretKey(): Uint8Array {
    return this.verification.hashKey;
  }

  *states(): Iterable<PagerState> {
    for (const pager of this.pagers) {
      if (pager === undefined) continue;
      const secrets = pager.secrets === undefined ? undefined : this.vault.state(pager.secrets);
      yield { ...pager.state, secrets };
      wipe(secrets?.capability);
    }
  }

  restore(device: Device, state: PagerState): void {
    const pager = this.pager(device, state.epoch);
    pager.restore(state);
    if (state.secrets !== undefined) pager.secrets = this.vault.restore(state.secrets);
    pager.lane.enqueue(pager);
    this.options.metrics.wake_mailbox_entries.set(this.pool.size);
  }

  begin(): void {
    for (const lane of this.lanes.values()) lane.begin();
  }

  close(): void {
    for (const pager of this.pagers) if (pager !== undefined) this.forget(pager.device);
    for (const lane of this.lanes.values()) lane.close();
    this.dispatcher.close();
    this.farewells.close();
    wipe(this.secretKey);
  }

  private countWaiting(): void {
    let waiting = 0;
    for (const lane of this.lanes.values()) waiting += lane.waiting;
    this.options.metrics.wake_waiting_devices.set(waiting);
  }

  private pager(device: Device, epoch?: number): Pager {
    const known = this.pagers[device.slot];
    if (known !== undefined) return known;
    const route = this.routes.get(device.listener);
    if (route === undefined) throw new RangeError('device of an unknown listener');
    const pager = new Pager(device, route, this.pool, epoch ?? this.newEpoch());
    this.pagers[device.slot] = pager;
    return pager;
  }

  private newEpoch(): number {
    return new DataView(this.options.crypto.randomBytes(EPOCH_SIZE).buffer).getUint16(0);
  }
}
