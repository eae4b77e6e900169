/** An APNs simulator and an engine that talks to it, as tests want them. */
import { createHmac, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { createApnsEngine } from '../../../services/gateway/apns/create.js';
import type { ApnsEngine, ApnsPush } from '../../../services/gateway/apns/engine.js';
import { apnsMetrics } from '../../../services/gateway/apns/metrics.js';
import type { ApnsEngineOptions, ApnsLimits } from '../../../services/gateway/apns/options.js';
import type { SimulatorLimits, SimulatorRules } from '../../../services/simulators/apns/options.js';
import { type ApnsSimulator, startApnsSimulator } from '../../../services/simulators/apns/server.js';
import { utf8 } from '../../../shared/encoding/bytes.js';
import { type Clock, systemClock, type VirtualClock } from '../../../shared/run/clock.js';
import { silentLog } from '../../../shared/run/log.js';
import { Metrics } from '../../../shared/run/metrics.js';

export const TEAM = 'TEAM000001';
export const KEY = 'KEY0000001';
export const TOPIC = 'chat.example.app';

/** Enough of `Crypto` for the engine. */
export const crypto: ApnsEngineOptions['crypto'] = {
  randomBytes: (n) => new Uint8Array(randomBytes(n)),
  hmacSha256: (key, ...parts) => {
    const mac = createHmac('sha256', key);
    for (const part of parts) mac.update(part);
    return new Uint8Array(mac.digest());
  },
};

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export const signingKey = (): KeyPair => generateKeyPairSync('ec', { namedCurve: 'P-256' });

export interface World {
  readonly simulator: ApnsSimulator;
  readonly key: KeyPair;
  readonly clock: Clock;
}

export interface WorldOptions {
  readonly clock?: Clock;
  readonly rules?: Partial<SimulatorRules>;
  readonly limits?: Partial<SimulatorLimits>;
}

/** A simulator of production and sandbox with one team, key and topic. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { clock = systemClock, rules = {}, limits = {} } = options;
  const key = signingKey();
  const simulator = await startApnsSimulator({
    clock,
    environments: { production: {}, sandbox: {} },
    teams: [{ teamId: TEAM, topics: [TOPIC], keys: [{ keyId: KEY, publicKey: key.publicKey }] }],
    rules: { deviceRate: { count: 0, windowMs: 1 }, ...rules },
    limits,
  });
  return { simulator, key, clock };
}

export interface TestEngine extends ApnsEngine {
  /** Metrics in the Prometheus format. */
  metrics(): Promise<string>;
}

/** An engine for that simulator, with delays fit for tests. */
export function engineFor(world: World, limits: Partial<ApnsLimits> = {}, clock = world.clock): TestEngine {
  const { simulator, key } = world;
  const metrics = new Metrics('');
  const endpoint = (port: number | undefined) => ({ host: '127.0.0.1', port: port!, ca: simulator.ca });
  const engine = createApnsEngine({
    keys: [
      {
        keyId: KEY,
        teamId: TEAM,
        topics: [TOPIC],
        environments: ['production', 'sandbox'],
        privateKey: () => key.privateKey,
      },
    ],
    endpoints: {
      production: endpoint(simulator.ports.production),
      sandbox: endpoint(simulator.ports.sandbox),
    },
    crypto,
    clock,
    log: silentLog,
    metrics: metrics.add(apnsMetrics),
    limits: { reconnectMinMs: 5, reconnectMaxMs: 20, ...limits },
  });
  return {
    send: (push) => engine.send(push),
    ready: (target) => engine.ready(target),
    close: (graceMs) => engine.close(graceMs),
    metrics: () => metrics.text(),
  };
}

const alert = utf8(
  JSON.stringify({ aps: { alert: { 'loc-key': 'N' }, 'mutable-content': 1 }, n: 'x'.repeat(64) }),
);

/** A push that the simulator accepts if the token is registered. */
export function push(token: string, more: Partial<ApnsPush> = {}): ApnsPush {
  return {
    environment: 'production',
    topic: TOPIC,
    token: new Uint8Array(Buffer.from(token, 'hex')),
    pushType: 'alert',
    priority: 10,
    expiration: 4_000_000_000,
    body: alert,
    provenAt: 1_700_000_000,
    ...more,
  };
}

/** Lets virtual time pass in steps until `promise` settles. */
export async function passUntil<T>(clock: VirtualClock, promise: Promise<T>, stepMs = 1_000): Promise<T> {
  let isSettled = false;
  const settled = (): void => {
    isSettled = true;
  };
  promise.then(settled, settled);
  while (!isSettled) await clock.advance(stepMs);
  return promise;
}

/** A device of the app, reachable. */
export const device = (world: World, environment: 'production' | 'sandbox' = 'production'): string =>
  world.simulator.devices.register({ environment, topic: TOPIC }).token;
