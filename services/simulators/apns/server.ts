/**
 * The APNs simulator: Apple's rules, statuses and moods on loopback (apns.md §21), for the demo, tests and
 * benchmarks. Holds everything in memory and never talks to anybody else.
 */
import type { AddressInfo } from 'node:net';
import { createServerCertificate, toPem } from '../../../shared/crypto/x509.js';
import type { Environment } from '../../../shared/relay/identity.js';
import { type Clock, systemClock } from '../../../shared/run/clock.js';
import { Authority } from './authority.js';
import type { Goaway, SimulatedConnection, World } from './connection.js';
import { createControlServer } from './control.js';
import { Counters, type CounterValues } from './counters.js';
import { Deliveries } from './deliveries.js';
import { Devices } from './devices.js';
import { Listener } from './listener.js';
import {
  type ApnsSimulatorOptions,
  type ServerCertificate,
  SIMULATOR_LIMITS,
  SIMULATOR_RULES,
} from './options.js';
import { Script } from './script.js';

const LOOPBACK = '127.0.0.1';

export interface ApnsSimulator {
  readonly clock: Clock;
  readonly host: string;
  /** Of each environment that was asked for. */
  readonly ports: Readonly<Partial<Record<Environment, number>>>;
  readonly controlPort: number;
  /** PEM: what clients must trust. */
  readonly ca: string;
  readonly devices: Devices;
  readonly deliveries: Deliveries;
  readonly script: Script;
  counters(): CounterValues & { readonly derSignatures: number; readonly devices: number };
  /** These act on every connection that is open. */
  goaway(goaway: Goaway): void;
  cut(): void;
  silence(): void;
  /** Refuses connections, then takes them again on the same ports. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

/** Listens when this resolves. Rejects where a port is taken. */
export async function startApnsSimulator(options: ApnsSimulatorOptions): Promise<ApnsSimulator> {
  const { clock, host = LOOPBACK } = options;
  const rules = { ...SIMULATOR_RULES, ...options.rules };
  const limits = { ...SIMULATOR_LIMITS, ...options.limits };
  const world: World = {
    clock,
    rules,
    authority: new Authority(options.teams, rules, clock),
    devices: new Devices(rules, clock, limits.devices),
    deliveries: new Deliveries(rules, limits, clock),
    script: new Script(limits.faults),
    counters: new Counters(),
  };
  const certificate = options.certificate ?? makeCertificate(host);
  const listeners = Object.entries(options.environments).map(
    ([environment, { port = 0 }]) =>
      new Listener({
        world,
        environment: environment as Environment,
        certificate,
        host,
        port,
        maxConnections: limits.connections,
      }),
  );
  await Promise.all(listeners.map((listener) => listener.up()));
  return await withControl(options, world, certificate, listeners);
}

/** Self-signed, and so its own authority. TLS judges it by real time, whatever the simulator's clock says. */
function makeCertificate(host: string): ServerCertificate {
  const now = new Date(systemClock.now());
  const { certificate, privateKey } = createServerCertificate({ host, otherHosts: ['localhost'], now });
  const cert = toPem('CERTIFICATE', certificate);
  return { cert, key: toPem('PRIVATE KEY', privateKey), ca: cert };
}

async function withControl(
  options: ApnsSimulatorOptions,
  world: World,
  certificate: ServerCertificate,
  listeners: readonly Listener[],
): Promise<ApnsSimulator> {
  const { clock, host = LOOPBACK } = options;
  const each = (act: (connection: SimulatedConnection) => void): void => {
    for (const listener of listeners) for (const connection of [...listener.connections]) act(connection);
  };
  const { devices, deliveries, script, counters, authority } = world;
  const simulator = {
    clock,
    host,
    ports: Object.fromEntries(Object.keys(options.environments).map((name, i) => [name, listeners[i]!.port])),
    controlPort: 0,
    ca: certificate.ca,
    devices,
    deliveries,
    script,
    counters: () => ({
      ...counters.values(),
      derSignatures: authority.derSignatures,
      devices: devices.size,
    }),
    goaway: (goaway: Goaway) => each((connection) => connection.goaway(goaway)),
    cut: () => each((connection) => connection.cut()),
    silence: () => each((connection) => connection.silence()),
    down: async () => void (await Promise.all(listeners.map((listener) => listener.down()))),
    up: async () => void (await Promise.all(listeners.map((listener) => listener.up()))),
    close: async () => {
      await simulator.down();
      deliveries.close();
      control.closeAllConnections();
      await new Promise<void>((resolve) => control.close(() => resolve()));
    },
  };
  const control = createControlServer(simulator);
  await new Promise<void>((resolve, reject) => {
    control.once('error', reject);
    control.listen(options.controlPort ?? 0, LOOPBACK, resolve);
  });
  simulator.controlPort = (control.address() as AddressInfo).port;
  return simulator;
}
