/** Settings of the SMP stand-in; the defaults are those of a real server (guide B.7, G.3, G.4). */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { VersionRange } from '../../../shared/smp/constants.js';
import type { SmpIdentity } from './identity.js';

export interface SmpTiming {
  /** How often stored notifications are handed to connections. */
  readonly deliveryMs: number;
  /** How often END and DELD are. */
  readonly endMs: number;
  /** How long a notification is kept for a notifier that is not there, and how often that is looked at. */
  readonly retentionMs: number;
  readonly expiryCheckMs: number;
  /** From the end of the TLS handshake to the client's hello. */
  readonly handshakeMs: number;
}

export const SMP_TIMING: SmpTiming = {
  deliveryMs: 1_500,
  endMs: 15_000,
  retentionMs: 24 * 3_600_000,
  expiryCheckMs: 3_600_000,
  handshakeMs: 120_000,
};

export interface SmpLimits {
  /** Further connections are closed at once. */
  readonly connections: number;
  /** Further NEWs are answered with `ERR STORE`. */
  readonly queues: number;
  /** Messages of one queue; then `ERR QUOTA` until it has been emptied. */
  readonly queueMessages: number;
  /** Notifications of one queue that wait for a notifier; the oldest are dropped. */
  readonly queueNotifications: number;
  /** Blocks that wait for one connection to take them; then nothing more is read or delivered. */
  readonly sendQueue: number;
  readonly faults: number;
}

export const SMP_LIMITS: SmpLimits = {
  connections: 1_000,
  queues: 1_000_000,
  queueMessages: 128,
  queueNotifications: 4_096,
  sendQueue: 128,
  faults: 1_000,
};

/** What servers of today offer (the 6.5 line); 7.0 offers 20. */
export const STAND_IN_VERSIONS: VersionRange = { min: 6, max: 18 };

export interface SmpStandInOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  /** Default 127.0.0.1, and any free port. */
  readonly host?: string;
  readonly port?: number;
  /** Listens for WebSocket there as well (0: any free port), as real servers do when told to; without it nowhere. */
  readonly webSocketPort?: number;
  /** The newest version of TLS that it takes; default 1.3. It takes 1.2 always, as real servers do (guide B.1). */
  readonly maxTls?: 'TLSv1.2' | 'TLSv1.3';
  /** Made anew where it is missing. */
  readonly identity?: SmpIdentity;
  readonly versions?: VersionRange;
  /** Whether it asks clients for a service certificate, as real servers do unless told otherwise; default true. */
  readonly services?: boolean;
  readonly timing?: Partial<SmpTiming>;
  readonly limits?: Partial<SmpLimits>;
  /** Where queues, messages and notifications are kept from `close` to the next start. */
  readonly stateFile?: string;
  /** Port of the control connection on loopback (0: any free one); without it there is none. */
  readonly controlPort?: number;
}
