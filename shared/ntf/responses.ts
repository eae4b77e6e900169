/** NTF responses and statuses, both directions (guide H.2, H.3). No word outside these tables is ever produced. */
import { type Bytes, fromUtf8, latin1 } from '../encoding/bytes.js';
import { decodePublicKey, encodePublicKey, ofAlgorithm } from '../encoding/keys.js';
import { DecodeError, Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { decodeError, type ErrorType, encodeError } from '../smp/errors.js';
import { INVALID_REASON_NTF_VERSION } from './constants.js';

const INVALID_REASONS = ['BAD', 'TOPIC', 'EXPIRED', 'UNREGISTERED'] as const;
export type NtfInvalidReason = (typeof INVALID_REASONS)[number];

const TOKEN_WORDS = ['NEW', 'REGISTERED', 'CONFIRMED', 'ACTIVE', 'EXPIRED'] as const;
export type NtfTokenStatus =
  | { readonly kind: (typeof TOKEN_WORDS)[number] }
  | { readonly kind: 'INVALID'; readonly reason?: NtfInvalidReason };

const SUBSCRIPTION_WORDS = [
  'NEW',
  'PENDING',
  'ACTIVE',
  'INACTIVE',
  'END',
  'DELETED',
  'AUTH',
  'SERVICE',
] as const;
export type NtfSubscriptionStatus =
  | { readonly kind: (typeof SUBSCRIPTION_WORDS)[number] }
  /** Text to the end of the transmission, not a short string (guide H.3). */
  | { readonly kind: 'ERR'; readonly text: string };

export type NtfResponse =
  | {
      readonly word: 'IDTKN';
      readonly tokenId: Uint8Array /** The server's raw X25519 key (32). */;
      readonly dhKey: Uint8Array;
    }
  | { readonly word: 'TKN'; readonly status: NtfTokenStatus }
  | { readonly word: 'IDSUB'; readonly subscriptionId: Uint8Array }
  | { readonly word: 'SUB'; readonly status: NtfSubscriptionStatus }
  | { readonly word: 'ERR'; readonly error: ErrorType }
  | { readonly word: 'OK' | 'PONG' };

/** Below version 3 the reason of INVALID is cut: older clients don't know it (guide H.3). */
export function encodeTokenStatus(status: NtfTokenStatus, version: number): string {
  if (status.kind !== 'INVALID' || status.reason === undefined) return status.kind;
  return version < INVALID_REASON_NTF_VERSION ? 'INVALID' : `INVALID,${status.reason}`;
}

/** Throws `DecodeError` where the status is unknown. */
export function decodeTokenStatus(text: string): NtfTokenStatus {
  if (text === 'INVALID') return { kind: 'INVALID' };
  const reason = INVALID_REASONS.find((known) => text === `INVALID,${known}`);
  if (reason !== undefined) return { kind: 'INVALID', reason };
  return { kind: oneOf(TOKEN_WORDS, text) };
}

export const encodeSubscriptionStatus = (status: NtfSubscriptionStatus): string =>
  status.kind === 'ERR' ? `ERR ${status.text}` : status.kind;

/** Throws `DecodeError` where the status is unknown. */
export function decodeSubscriptionStatus(text: string): NtfSubscriptionStatus {
  if (text.startsWith('ERR ')) return { kind: 'ERR', text: text.slice(4) };
  return { kind: oneOf(SUBSCRIPTION_WORDS, text) };
}

/** @param version the one agreed in the handshake */
export function encodeResponse(response: NtfResponse, version: number): Uint8Array {
  const w = new Writer(96).text(response.word);
  switch (response.word) {
    case 'IDTKN':
      w.text(' ').shortString(response.tokenId);
      w.shortString(encodePublicKey({ algorithm: 'x25519', raw: response.dhKey }));
      break;
    case 'TKN':
      w.text(' ').text(encodeTokenStatus(response.status, version));
      break;
    case 'IDSUB':
      w.text(' ').shortString(response.subscriptionId);
      break;
    case 'SUB':
      w.text(' ').text(encodeSubscriptionStatus(response.status));
      break;
    case 'ERR':
      w.text(' ').bytes(encodeError(response.error));
      break;
  }
  return w.done();
}

/** Throws `DecodeError` on anything that is no response. Byte fields are views into `bytes`. */
export function decodeResponse(bytes: Bytes): NtfResponse {
  const r = new Reader(bytes);
  const response = readResponse(r);
  r.end();
  return response;
}

function readResponse(r: Reader): NtfResponse {
  if (r.accept('IDTKN ')) {
    const tokenId = r.shortString();
    return { word: 'IDTKN', tokenId, dhKey: ofAlgorithm(decodePublicKey(r.shortString()), 'x25519').raw };
  }
  if (r.accept('TKN ')) return { word: 'TKN', status: decodeTokenStatus(latin1(r.tail())) };
  if (r.accept('IDSUB ')) return { word: 'IDSUB', subscriptionId: r.shortString() };
  if (r.accept('SUB ')) return { word: 'SUB', status: decodeSubscriptionStatus(text(r.tail())) };
  if (r.accept('ERR ')) return { word: 'ERR', error: decodeError(r.tail()) };
  return { word: oneOf(['OK', 'PONG'] as const, latin1(r.tail())) };
}

/** IDTKN, IDSUB and PONG come with an empty entity, an error with any, all others with the request's (guide H.2). */
export function entityFits(word: NtfResponse['word'], entityId: Bytes): boolean {
  if (word === 'ERR') return true;
  return (word === 'IDTKN' || word === 'IDSUB' || word === 'PONG') === (entityId.length === 0);
}

function text(bytes: Bytes): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new DecodeError('not UTF-8');
  }
}

function oneOf<const T extends string>(words: readonly T[], word: string): T {
  const known = words.find((candidate) => candidate === word);
  if (known === undefined) throw new DecodeError('unknown word');
  return known;
}
