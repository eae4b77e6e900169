/** What can be set about the APNs simulator. Everything has a default but the keys of the teams. */
import type { KeyObject } from 'node:crypto';
import type { Environment } from '../../../shared/relay/identity.js';
import type { Clock } from '../../../shared/run/clock.js';

/** A signing key as Apple knows it (apns.md §6). */
export interface SimulatedKey {
  readonly keyId: string;
  readonly publicKey: KeyObject;
  /** Where it is valid; everywhere by default, as keys made before 2025 are. */
  readonly environments?: readonly Environment[];
  /** Only for these topics; by default the key is good for every topic of the team. */
  readonly topics?: readonly string[];
  /** The one other topic-specific key that may be used on the same connection. */
  readonly relatedKeyId?: string;
}

export interface SimulatedTeam {
  readonly teamId: string;
  /** Bundle ids. */
  readonly topics: readonly string[];
  readonly keys: readonly SimulatedKey[];
}

export interface ServerCertificate {
  /** PEM. `ca` is what clients must trust. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Rules that differ between Apple's servers, years and reports; the defaults are the strict reading. */
export interface SimulatorRules {
  /** Streams allowed once a valid provider token was seen; 1 before. */
  readonly maxStreams: number;
  /** Back to 1 after a 4xx other than 410, and up again after the next good push. */
  readonly slowDownAfterError: boolean;
  /** GOAWAY after so many BadDeviceToken in a row on a connection; 0 = never. */
  readonly maxBadTokens: number;
  /** An expired provider token makes its connection useless for good. */
  readonly wedgeOnExpiredToken: boolean;
  /** 429 for a device that gets more than `count` pushes in `windowMs`; count 0 = never. */
  readonly deviceRate: { readonly count: number; readonly windowMs: number };
  /** Sent with that 429; Apple documents none. */
  readonly retryAfterSeconds: number | undefined;
  /** Background pushes that a device is woken for in an hour; the rest is held, newest first. */
  readonly backgroundPerHour: number;
}

export const SIMULATOR_RULES: SimulatorRules = {
  maxStreams: 1_000,
  slowDownAfterError: true,
  maxBadTokens: 500,
  wedgeOnExpiredToken: true,
  deviceRate: { count: 200, windowMs: 60_000 },
  retryAfterSeconds: undefined,
  backgroundPerHour: 3,
};

/** Bounds. A full table refuses (devices, connections, waiting readers); a full log forgets its oldest entries. */
export interface SimulatorLimits {
  readonly devices: number;
  readonly connections: number;
  readonly logEntries: number;
  readonly logBytes: number;
  readonly waiters: number;
  readonly faults: number;
}

export const SIMULATOR_LIMITS: SimulatorLimits = {
  devices: 200_000,
  connections: 1_000,
  logEntries: 20_000,
  logBytes: 32 * 1024 * 1024,
  waiters: 1_000,
  faults: 100,
};

export interface ApnsSimulatorOptions {
  readonly clock: Clock;
  readonly teams: readonly SimulatedTeam[];
  /** One listener each; port 0 or absent = any free port. */
  readonly environments: Readonly<Partial<Record<Environment, { readonly port?: number }>>>;
  /** Loopback by default; nothing here is meant for a network. */
  readonly host?: string;
  readonly controlPort?: number;
  /** Made at start where absent. */
  readonly certificate?: ServerCertificate;
  readonly rules?: Partial<SimulatorRules>;
  readonly limits?: Partial<SimulatorLimits>;
}
