/**
 * The gateway's signed statement about itself (relay.md §1): whom it serves, under which limits, and the keys to
 * seal tokens to. Whoever seals a token checks it against the fingerprint in the gateway's address, and nothing
 * else: neither TLS nor the subscriber that relays it is trusted for this.
 */
import { z } from 'zod';
import type { Crypto } from '../crypto/crypto.js';
import { fromBase64url, toBase64urlBare } from '../encoding/base64url.js';
import { type Bytes, sameBytes, utf8 } from '../encoding/bytes.js';
import { PUBLIC_KEY_SIZE } from './constants.js';
import { ENVIRONMENTS, gatewayFingerprint } from './identity.js';
import { KEY_ID_SIZE } from './sealed-record.js';

export const RELAY_VERSION = 1;
/** Longest document that is looked at: room for `MAX_APPS` with the longest topics. */
export const MAX_STATEMENT_SIZE = 256 * 1024;
export const MAX_APPS = 256;
export const MAX_SEALING_KEYS = 16;
/** How far the two clocks may differ before a statement counts as not yet issued. */
const CLOCK_SKEW_SECONDS = 24 * 3600;

const SIGNATURE_SIZE = 64;
const HASH_SIZE = 32;

const unixSeconds = z.int().min(0).max(0xffff_ffff);
const bytes = (size: number) =>
  z
    .string()
    .max(128)
    .transform((text, context): Uint8Array => {
      const value = fromBase64url(text);
      if (value?.length === size) return value;
      context.addIssue({ code: 'custom', message: `expected base64url of ${size} bytes` });
      return z.NEVER;
    });

/** What the gateway lets through for one device, whatever its subscriber's own budgets are (design §5). */
const limitsSchema = z.object({
  backgroundPerHour: z.int().min(0),
  alertPerHour: z.int().min(0),
  mutableBurst: z.int().min(0),
  mutablePerDay: z.int().min(0),
});

const appSchema = z.object({
  topic: z.string().min(1).max(255),
  environments: z.array(z.enum(ENVIRONMENTS)).min(1).max(ENVIRONMENTS.length),
  profiles: z.array(z.string().max(32)).min(1).max(8),
  limits: limitsSchema,
});

const sealingKeySchema = z.object({
  keyId: bytes(KEY_ID_SIZE),
  publicKey: bytes(PUBLIC_KEY_SIZE),
  notBefore: unixSeconds,
  notAfter: unixSeconds,
});

/** Names that are not known here are ignored, so that a later gateway may say more. */
const statementSchema = z.object({
  versions: z.array(z.int().min(1).max(0xffff)).min(1).max(16),
  fingerprint: z.string().max(64),
  identityKey: bytes(PUBLIC_KEY_SIZE),
  issuedAt: unixSeconds,
  validUntil: unixSeconds,
  tlsSpki: bytes(HASH_SIZE).optional(),
  apps: z.array(appSchema).max(MAX_APPS),
  sealingKeys: z.array(sealingKeySchema).max(MAX_SEALING_KEYS),
});

const documentSchema = z.object({ statement: z.string(), signature: bytes(SIGNATURE_SIZE) });

export type GatewayLimits = z.output<typeof limitsSchema>;
export type GatewayApp = z.output<typeof appSchema>;
export type GatewaySealingKey = z.output<typeof sealingKeySchema>;
/** Byte arrays are base64url in the document; times are Unix seconds. */
export type GatewayStatement = z.output<typeof statementSchema>;

/** What the gateway fills in; its key and fingerprint come from the key that signs. */
export type StatementContent = Omit<GatewayStatement, 'versions' | 'fingerprint' | 'identityKey'>;

/** The document of `GET /v1/gateway`: `{statement, signature}`, the signature over the exact bytes of `statement`. */
export function signStatement(
  crypto: Crypto,
  identity: { readonly publicKey: Bytes; readonly privateKey: Bytes },
  content: StatementContent,
): string {
  const statement = JSON.stringify(
    {
      versions: [RELAY_VERSION],
      fingerprint: gatewayFingerprint(crypto, identity.publicKey),
      identityKey: identity.publicKey,
      ...content,
    },
    (_, value) => (value instanceof Uint8Array ? toBase64urlBare(value) : value),
  );
  const signature = toBase64urlBare(crypto.ed25519Sign(identity.privateKey, utf8(statement)));
  return JSON.stringify({ statement, signature });
}

export interface StatementExpectation {
  /** From the gateway's address. */
  readonly fingerprint: string;
  /** Unix seconds. */
  readonly now: number;
  /** `issuedAt` of the newest statement seen of this gateway: an older one is refused. */
  readonly seenIssuedAt?: number;
  /** SHA-256 of the SPKI that the connection showed; given where its certificate was not trusted otherwise. */
  readonly tlsSpki?: Uint8Array;
}

export type StatementRefusal =
  | 'malformed'
  | 'wrong-fingerprint'
  | 'bad-signature'
  | 'version'
  | 'not-yet-valid'
  | 'expired'
  | 'older-than-seen'
  | 'wrong-tls-key';

export type StatementResult =
  | { readonly statement: GatewayStatement }
  | { readonly refused: StatementRefusal };

/** Checks a document of `GET /v1/gateway`. Nothing in it may be used unless this returns a statement. */
export function checkStatement(
  crypto: Crypto,
  document: string,
  expected: StatementExpectation,
): StatementResult {
  if (document.length > MAX_STATEMENT_SIZE) return { refused: 'malformed' };
  const outer = documentSchema.safeParse(parseJson(document));
  if (!outer.success) return { refused: 'malformed' };
  const inner = statementSchema.safeParse(parseJson(outer.data.statement));
  if (!inner.success) return { refused: 'malformed' };
  const statement = inner.data;
  const fingerprint = gatewayFingerprint(crypto, statement.identityKey);
  if (fingerprint !== expected.fingerprint || statement.fingerprint !== fingerprint) {
    return { refused: 'wrong-fingerprint' };
  }
  const signed = crypto.ed25519Verify(
    statement.identityKey,
    utf8(outer.data.statement),
    outer.data.signature,
  );
  if (!signed) return { refused: 'bad-signature' };
  const refused = refusal(statement, expected);
  return refused === undefined ? { statement } : { refused };
}

function refusal(statement: GatewayStatement, expected: StatementExpectation): StatementRefusal | undefined {
  const { now, seenIssuedAt, tlsSpki } = expected;
  if (!statement.versions.includes(RELAY_VERSION)) return 'version';
  if (statement.issuedAt > now + CLOCK_SKEW_SECONDS) return 'not-yet-valid';
  if (statement.validUntil <= now) return 'expired';
  if (seenIssuedAt !== undefined && statement.issuedAt < seenIssuedAt) return 'older-than-seen';
  if (tlsSpki && !(statement.tlsSpki && sameBytes(statement.tlsSpki, tlsSpki))) return 'wrong-tls-key';
  return undefined;
}

/** The sealing key to use at `now` (Unix seconds): the newest that is valid; undefined where there is none. */
export function currentSealingKey(statement: GatewayStatement, now: number): GatewaySealingKey | undefined {
  let best: GatewaySealingKey | undefined;
  for (const key of statement.sealingKeys) {
    const valid = key.notBefore <= now && now < key.notAfter;
    if (valid && (best === undefined || key.notBefore > best.notBefore)) best = key;
  }
  return best;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
