/** Numbers and words of the NTF protocol (guide H.1–H.3). */

import type { VersionRange } from '../smp/constants.js';

/** Every block on the wire, handshake included. */
export const NTF_BLOCK_SIZE = 512;

/** First version with a server key, authenticators, batches and an implied session id. */
export const AUTH_BATCH_NTF_VERSION = 2;
/** First version that tells why a token is INVALID. */
export const INVALID_REASON_NTF_VERSION = 3;

export const NTF_VERSIONS: VersionRange = { min: 1, max: 3 };
/** What a server offers to clients that sent no ALPN (guide B.2). */
export const LEGACY_NTF_VERSIONS: VersionRange = { min: 1, max: 1 };

/** The protocols a server accepts; stock clients with the "web port" setting offer `http/1.1` (guide B.2). */
export const NTF_ALPN = ['ntf/1', 'http/1.1', 'h2'] as const;
/** The port that SimpleX clients take when an address names none. */
export const NTF_DEFAULT_PORT = 443;

/** Push providers as they stand on the wire: production, sandbox, test, none (guide H.2). */
export const PROVIDERS = ['AP', 'AD', 'AT', 'AN'] as const;
export type Provider = (typeof PROVIDERS)[number];

/** Token, subscription and correlation ids that this side makes. */
export const ID_SIZE = 24;
/** Registration codes. */
export const CODE_SIZE = 32;
/** Shortest interval of periodic checks, minutes (guide H.4). */
export const MIN_CHECK_MINUTES = 20;
/** Items in one message push at most (guide H.7). */
export const MAX_PAYLOAD_ITEMS = 6;
