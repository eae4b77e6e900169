/** `[[smp.servers]]` of the configuration: servers that are reached otherwise than their addresses say. */
import { z } from 'zod';
import { fromBase64url } from '../../../../shared/encoding/base64url.js';
import { KEY_HASH_SIZE } from '../../../../shared/smp/constants.js';
import { canonicalHost, type Way } from './ways.js';

const MAX_WAYS = 256;
/** What an address can have as a host (guide A.5). */
const HOST = /^[^\s#,;/@]{1,255}$/;

const way = z.strictObject({
  /** As clients' addresses name it. */
  host: z.string().regex(HOST, 'expected a host name or network address'),
  /** Only the server with this fingerprint. */
  fingerprint: z.string().refine(isFingerprint, 'expected 43 characters of base64url').optional(),
  transport: z.enum(['tls', 'websocket']),
  /** Dialled instead of the address's port. */
  port: z.int().min(1).max(65_535).optional(),
});

type WayKeys = z.output<typeof way>;

/** One entry for a host, and one for each fingerprint there. */
export const waysField = z
  .array(way)
  .max(MAX_WAYS)
  .refine((ways) => new Set(ways.map(nameOf)).size === ways.length, 'expected different servers')
  .default([]);

export const wayOf = ({ host, fingerprint, transport, port }: WayKeys): Way => ({
  host,
  fingerprint: fingerprint === undefined ? undefined : fromBase64url(fingerprint),
  transport,
  port,
});

const nameOf = ({ host, fingerprint = '' }: WayKeys): string =>
  `${canonicalHost(host)} ${fingerprint.replace(/=$/, '')}`;

function isFingerprint(text: string): boolean {
  return fromBase64url(text)?.length === KEY_HASH_SIZE;
}
