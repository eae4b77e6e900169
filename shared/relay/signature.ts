/**
 * Signed requests (relay.md §2): HTTP Message Signatures (RFC 9421) with one fixed set of covered components.
 * Pure text and bytes; who may sign, when, and whether a nonce was seen is judged elsewhere.
 */
import type { Crypto } from '../crypto/crypto.js';
import { fromBase64url, toBase64url, toBase64urlBare } from '../encoding/base64url.js';
import { type Bytes, utf8 } from '../encoding/bytes.js';
import { CONTENT_TYPE } from './constants.js';

/** Clocks may differ by this much. */
export const SIGNATURE_WINDOW_SECONDS = 60;
/** A nonce is remembered at least this long: the whole window in both directions. */
export const NONCE_LIFE_SECONDS = 120;
export const REQUEST_NONCE_SIZE = 16;
export const SIGNATURE_TAG = 'porchlight-relay-v1';

const LABEL = 'relay';
const SIGNATURE_SIZE = 64;
const KEY_SIZE = 32;
/** Longest header value that is looked at. */
const MAX_HEADER_SIZE = 1024;

/** The parts of a request that its signature covers. */
export interface SignedRequest {
  readonly method: string;
  /** Host and port as in the Host header, in lower case, a default port left out. */
  readonly authority: string;
  readonly path: string;
  /** With its leading `?`; an absent query is `?` (RFC 9421 §2.2.7). */
  readonly query: string;
  readonly contentType: string;
  readonly contentDigest: string;
  /** Header `Porchlight-Gateway`: the fingerprint, so that no other gateway can be given this request. */
  readonly gateway: string;
}

type Component = readonly [name: string, value: string];

const components = (request: SignedRequest): readonly Component[] => [
  ['@method', request.method],
  ['@authority', request.authority],
  ['@path', request.path],
  ['@query', request.query],
  ['content-type', request.contentType],
  ['content-digest', request.contentDigest],
  ['porchlight-gateway', request.gateway],
];

/** RFC 9421 §2.5: one line per covered component, then the parameters as they stand in Signature-Input. */
export function signatureBase(covered: readonly Component[], params: string): string {
  const lines = covered.map(([name, value]) => `"${name}": ${value}`);
  return [...lines, `"@signature-params": ${params}`].join('\n');
}

const COVERED = `(${components({} as SignedRequest)
  .map(([name]) => `"${name}"`)
  .join(' ')})`;

/** Content-Digest of a body (RFC 9530). */
export const contentDigest = (crypto: Crypto, body: Bytes): string =>
  `sha-256=:${toBase64(crypto.sha256(body))}:`;

export interface SigningKey {
  /** Raw Ed25519 key (32) and the 64-byte secret key. */
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

/** A request about to be sent. */
export interface OutgoingRequest {
  readonly authority: string;
  readonly path: string;
  readonly body: Bytes;
  /** Fingerprint of the gateway that it is meant for. */
  readonly gateway: string;
}

/**
 * All headers that a signed POST carries besides Host and Content-Length.
 * @param created Unix seconds by the gateway's clock
 */
export function signRequest(
  crypto: Crypto,
  key: SigningKey,
  request: OutgoingRequest,
  created: number,
): Record<string, string> {
  const digest = contentDigest(crypto, request.body);
  const nonce = toBase64urlBare(crypto.randomBytes(REQUEST_NONCE_SIZE));
  const keyId = toBase64urlBare(key.publicKey);
  const params = `${COVERED};created=${created};nonce="${nonce}";keyid="${keyId}";alg="ed25519";tag="${SIGNATURE_TAG}"`;
  const covered = components({
    method: 'POST',
    authority: request.authority,
    path: request.path,
    query: '?',
    contentType: CONTENT_TYPE,
    contentDigest: digest,
    gateway: request.gateway,
  });
  const signature = crypto.ed25519Sign(key.privateKey, utf8(signatureBase(covered, params)));
  return {
    'content-type': CONTENT_TYPE,
    'content-digest': digest,
    'porchlight-gateway': request.gateway,
    'signature-input': `${LABEL}=${params}`,
    signature: `${LABEL}=:${toBase64(signature)}:`,
  };
}

/** What a request's Signature-Input and Signature headers say. */
export interface RequestSignature {
  /** Unix seconds. */
  readonly created: number;
  /** 16 bytes. */
  readonly nonce: Uint8Array;
  /** The signer's raw Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
  /** Covered components and parameters exactly as received. */
  readonly params: string;
}

const INPUT = /^([a-z][a-z0-9]{0,31})=((\([^()]*\))((?:;[a-z]+=(?:"[^"\\]*"|\d{1,10}))+))$/;
const PARAMETER = /;([a-z]+)=(?:"([^"]*)"|(\d+))/g;
const NAMES = ['created', 'nonce', 'keyid', 'alg', 'tag'];

/** Undefined unless exactly the components and parameters of relay.md §2 are there, each once. */
export function parseSignature(signatureInput: string, signature: string): RequestSignature | undefined {
  if (signatureInput.length > MAX_HEADER_SIZE || signature.length > MAX_HEADER_SIZE) return undefined;
  const input = INPUT.exec(signatureInput);
  if (input === null || input[3] !== COVERED) return undefined;
  const found = new Map<string, string>();
  for (const [, name, text, number] of input[4]!.matchAll(PARAMETER)) {
    const wanted = (name === 'created') === (number !== undefined) && !found.has(name!);
    if (!wanted || !NAMES.includes(name!)) return undefined;
    found.set(name!, text ?? number!);
  }
  if (found.get('alg') !== 'ed25519' || found.get('tag') !== SIGNATURE_TAG) return undefined;
  const created = Number(found.get('created') ?? Number.NaN);
  const nonce = fromBase64url(found.get('nonce') ?? '');
  const publicKey = fromBase64url(found.get('keyid') ?? '');
  const bytes = signatureBytes(signature, input[1]!);
  if (Number.isNaN(created) || nonce?.length !== REQUEST_NONCE_SIZE) return undefined;
  if (publicKey?.length !== KEY_SIZE || bytes === undefined) return undefined;
  return { created, nonce, publicKey, signature: bytes, params: input[2]! };
}

/** Whether the signature is that of this request by the key it names. */
export function verifySignature(crypto: Crypto, parsed: RequestSignature, request: SignedRequest): boolean {
  const base = signatureBase(components(request), parsed.params);
  return crypto.ed25519Verify(parsed.publicKey, utf8(base), parsed.signature);
}

/** `label=:base64:` of a signature under the same label as its input. */
function signatureBytes(header: string, label: string): Uint8Array | undefined {
  if (!header.startsWith(`${label}=:`) || !header.endsWith(':')) return undefined;
  const bytes = fromBase64(header.slice(label.length + 2, -1));
  return bytes?.length === SIGNATURE_SIZE ? bytes : undefined;
}

/** Byte sequences of structured fields are in plain base64 (RFC 9651 §3.3.5). */
const toBase64 = (bytes: Bytes): string => toBase64url(bytes).replaceAll('-', '+').replaceAll('_', '/');

function fromBase64(text: string): Uint8Array | undefined {
  if (/[-_]/.test(text)) return undefined;
  return fromBase64url(text.replaceAll('+', '-').replaceAll('/', '_'));
}
