/** Reading and verifying provider tokens (apns.md §6). Signatures may be r ‖ s or DER; Apple takes both. */
import { type KeyObject, verify } from 'node:crypto';
import { fromBase64url } from '../../../shared/encoding/base64url.js';
import { fromUtf8, utf8 } from '../../../shared/encoding/bytes.js';

/** Longest token that is looked at. */
const MAX_LENGTH = 2048;
const RAW_SIGNATURE = 64;

export interface ParsedToken {
  readonly keyId: string;
  readonly teamId: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** A token of the right shape, unverified; undefined where it is something else. */
export function parseProviderToken(text: string): ParsedToken | undefined {
  const parts = text.length <= MAX_LENGTH ? text.split('.') : [];
  const [header, claims, tail] = parts;
  if (parts.length !== 3 || header === undefined || claims === undefined || tail === undefined)
    return undefined;
  const { alg, kid } = object(header);
  const { iss, iat } = object(claims);
  const signature = fromBase64url(tail);
  if (alg !== 'ES256' || typeof kid !== 'string' || typeof iss !== 'string') return undefined;
  // Apple's own sample writes a text of milliseconds; its table says seconds, as a number.
  if (typeof iat !== 'number' || !Number.isSafeInteger(iat) || signature === undefined) return undefined;
  return { keyId: kid, teamId: iss, issuedAt: iat, signed: utf8(`${header}.${claims}`), signature };
}

/** How the signature is written, undefined where it is not this key's. */
export function signatureForm(token: ParsedToken, key: KeyObject): 'raw' | 'der' | undefined {
  const { signed, signature } = token;
  if (signature.length === RAW_SIGNATURE) {
    if (verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)) return 'raw';
  }
  return verify('sha256', signed, { key, dsaEncoding: 'der' }, signature) ? 'der' : undefined;
}

function object(part: string): Record<string, unknown> {
  const bytes = fromBase64url(part);
  try {
    const value: unknown = bytes && JSON.parse(fromUtf8(bytes));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
