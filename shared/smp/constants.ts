/** Numbers of the SMP protocol (guide B, C.1, E.2, G). */

/** Every block on the wire, handshake included (guide B.6). */
export const SMP_BLOCK_SIZE = 16_384;

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** What this code speaks. Servers of the 6.5 line stop at 18, those of 7.0 at 20. */
export const SMP_VERSIONS: VersionRange = { min: 6, max: 20 };
/** What a server offers to clients that sent no ALPN (guide B.2). */
export const LEGACY_SMP_VERSIONS: VersionRange = { min: 6, max: 6 };

/** The version at which something began (guide C.1, Appendix 2). */
export const SINCE = {
  /** Server key in the handshake, authenticators, session id implied. */
  serverKey: 7,
  /** SKEY; who may secure a queue stands in NEW and IDS. */
  senderKey: 9,
  /** DELD; below, END says it. */
  deleted: 10,
  encryptedBlocks: 11,
  blocked: 12,
  proxyFlag: 14,
  /** Queue mode and link in NEW and IDS. */
  queueMode: 15,
  /** Service certificates, second signatures, SOK. */
  services: 16,
  /** Notifier credentials in NEW and IDS. */
  notifierInNew: 17,
  blockedNotice: 18,
  /** Count and hash of ids in NSUBS, SOKS and ENDS. */
  serviceHash: 19,
} as const;

/** ALPN that a client offers, and those that a server accepts (guide B.2). */
export const SMP_ALPN = 'smp/1';
export const SMP_SERVER_ALPN = [SMP_ALPN, 'h2', 'http/1.1'] as const;
/** Port meant by an empty one (guide A.5). */
export const SMP_DEFAULT_PORT = 5223;

/** Ids and correlation ids that this side makes; a peer's are opaque, 0 to 255 bytes. */
export const ID_SIZE = 24;
export const KEY_HASH_SIZE = 32;
export const NONCE_SIZE = 24;
/** Exclusive-or of the MD5 of notifier ids (Appendix 2). */
export const IDS_HASH_SIZE = 16;
export const MAX_SHORT_STRING = 255;
/** Most transmissions of one block: their count is a byte. */
export const MAX_BATCH = 255;

/** Metadata of a notification, padded (guide G.1). */
export const NMSG_META_SIZE = 128;

/** The version of a session: the lower of the two maxima; undefined where the ranges don't overlap (guide A.6). */
export function agreedVersion(a: VersionRange, b: VersionRange): number | undefined {
  const version = Math.min(a.max, b.max);
  return version >= a.min && version >= b.min ? version : undefined;
}

/** Longest message body of a SEND (guide G.2). */
export function maxBodySize(version: number): number {
  if (version >= SINCE.encryptedBlocks) return 16_048;
  return version >= 8 ? 16_064 : 16_088;
}
