/** What an operator sets for the APNs engine, and its limits with their defaults. */
import type { KeyObject } from 'node:crypto';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import type { Environment } from '../../../shared/relay/identity.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { Dial } from './connection.js';
import type { apnsMetrics } from './metrics.js';

/** One of Apple's signing keys and what it may be used for. */
export interface ApnsKey {
  /** 10 characters each, from the developer account. */
  readonly keyId: string;
  readonly teamId: string;
  readonly topics: readonly string[];
  readonly environments: readonly Environment[];
  /** Asked whenever a provider token is signed, so that a key can be replaced while running. P-256. */
  readonly privateKey: () => KeyObject;
}

export interface ApnsEndpoint {
  readonly host: string;
  readonly port: number;
  /** PEM; the system's certificates where there is none. For simulators. */
  readonly ca?: string | undefined;
}

/** Apple's own hosts. Port 2197 works too, where 443 is not let out. */
export const APPLE_ENDPOINTS = {
  production: { host: 'api.push.apple.com', port: 443 },
  sandbox: { host: 'api.sandbox.push.apple.com', port: 443 },
} as const satisfies Partial<Record<Environment, ApnsEndpoint>>;

export interface ApnsLimits {
  /** Connections of a pool; first contacts have one of their own beside them. */
  readonly connections: number;
  /** Streams of one connection, whatever Apple's SETTINGS allow beyond. */
  readonly streams: number;
  /** Pushes of a pool that wait for a stream; each holds a body of at most 4 KB. */
  readonly queued: number;
  /** From `send` to a result, queueing and resends included. */
  readonly pushMs: number;
  /** From one write to its answer. */
  readonly answerMs: number;
  /** TCP, TLS and the first SETTINGS. */
  readonly connectMs: number;
  /** Back-off between attempts to connect. */
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** Silence after which a PING asks whether the peer is still there, and how long it may take. */
  readonly pingIdleMs: number;
  readonly pongMs: number;
  /** How long a breaker stays open the first time, and at most. */
  readonly breakerMinMs: number;
  readonly breakerMaxMs: number;
  /** Devices that Apple said 429 about; the one that has been here longest makes room. */
  readonly delayedDevices: number;
}

export const APNS_LIMITS: ApnsLimits = {
  connections: 2,
  streams: 1_000,
  queued: 4_096,
  pushMs: 25_000,
  answerMs: 10_000,
  connectMs: 10_000,
  reconnectMinMs: 1_000,
  reconnectMaxMs: 60_000,
  pingIdleMs: 60_000,
  pongMs: 10_000,
  breakerMinMs: 30_000,
  breakerMaxMs: 900_000,
  delayedDevices: 10_000,
};

export interface ApnsEngineOptions {
  readonly keys: readonly ApnsKey[];
  readonly endpoints: Readonly<Partial<Record<Environment, ApnsEndpoint>>>;
  readonly crypto: Pick<Crypto, 'hmacSha256' | 'randomBytes'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof apnsMetrics>;
  readonly limits?: Partial<ApnsLimits>;
  /** How connections are made; over TLS unless given. */
  readonly dial?: (endpoint: ApnsEndpoint, random: () => number) => Dial;
}
