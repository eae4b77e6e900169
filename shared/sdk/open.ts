/**
 * Opens pushes (guide H.8, I.5): what the system handed to the app becomes a code, items, or a wish to check.
 * Text meant for the screen is never looked at. Whatever arrives, the only error is `PushError`.
 */
import { cbDecrypt } from '../crypto/box.js';
import { fromBase64url } from '../encoding/base64url.js';
import type { Bytes } from '../encoding/bytes.js';
import { DecodeError, decodeAll } from '../encoding/reader.js';
import { CODE_SIZE } from '../ntf/constants.js';
import { decodeItems, NONCE_SIZE, type PayloadItem } from '../ntf/payload.js';
import type { SdkCrypto } from './nacl.js';

export type OpenedPush =
  /** The registration code, 32 bytes. */
  | { readonly kind: 'verification'; readonly code: Uint8Array }
  /** One to six items, ascending in time, the newest last. */
  | { readonly kind: 'messages'; readonly items: readonly PayloadItem[] }
  /** Fetch messages everywhere. */
  | { readonly kind: 'check' };

/** `not-a-push`: other keys or types than a push has; `forged`: the box doesn't open; `malformed`: its content. */
export class PushError extends Error {
  override readonly name = 'PushError';
  readonly reason: 'not-a-push' | 'forged' | 'malformed';

  constructor(reason: PushError['reason']) {
    super(reason);
    this.reason = reason;
  }
}

/** Apple delivers at most 4,096 bytes; the reference server sends a little more (guide H.8). */
const MAX_PAYLOAD_TEXT = 8_192;

/**
 * @param payload the push as JSON text, or the object that the system made of it
 * @param dhSecret shared with the subscriber (32); undefined where nothing is registered
 */
export function openPush(crypto: SdkCrypto, dhSecret: Bytes | undefined, payload: unknown): OpenedPush {
  const data = field(parsePayload(payload), 'notificationData');
  if (field(data, 'checkMessages') === true) return { kind: 'check' };
  const nonce = bytesOf(field(data, 'nonce'));
  if (nonce?.length !== NONCE_SIZE) throw new PushError('not-a-push');
  const verification = bytesOf(field(data, 'verification'));
  const box = verification ?? bytesOf(field(data, 'message'));
  if (box === undefined) throw new PushError('not-a-push');
  const plaintext = dhSecret && cbDecrypt(crypto, dhSecret, nonce, box);
  if (plaintext === undefined) throw new PushError('forged');
  return verification ? { kind: 'verification', code: codeIn(plaintext) } : messagesIn(plaintext);
}

/** The plaintext of a verification, which must have the length of a code. Throws `PushError`. */
export function codeIn(plaintext: Uint8Array): Uint8Array {
  if (plaintext.length !== CODE_SIZE) throw new PushError('malformed');
  return plaintext;
}

function messagesIn(plaintext: Uint8Array): OpenedPush {
  try {
    return { kind: 'messages', items: decodeItems(plaintext) };
  } catch (error) {
    if (error instanceof DecodeError) throw new PushError('malformed');
    throw error;
  }
}

/** What the messaging server says of one message (guide G.1). */
export interface MessageMeta {
  readonly messageId: Uint8Array;
  /** Unix seconds. */
  readonly time: number;
}

/** Opens an item's metadata with the queue's own secret; undefined where it can't be opened. */
export function openMetadata(
  crypto: SdkCrypto,
  secret: Bytes,
  item: Pick<PayloadItem, 'nonce' | 'metadata'>,
): MessageMeta | undefined {
  const plaintext = cbDecrypt(crypto, secret, item.nonce, item.metadata);
  if (plaintext === undefined) return undefined;
  try {
    return decodeAll(plaintext, (r) => {
      const meta = { messageId: r.shortString(), time: r.i64() };
      r.tail(); // later servers may say more
      return meta;
    });
  } catch {
    return undefined;
  }
}

/** A push as an object, whether it comes as one or as JSON text. Throws `PushError`. */
export function parsePayload(payload: unknown): unknown {
  if (typeof payload !== 'string') return payload;
  if (payload.length > MAX_PAYLOAD_TEXT) throw new PushError('not-a-push');
  try {
    return JSON.parse(payload);
  } catch {
    throw new PushError('not-a-push');
  }
}

/** A property of its own, or undefined. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** Bytes of base64url text, or undefined. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  return typeof value === 'string' && value.length <= MAX_PAYLOAD_TEXT ? fromBase64url(value) : undefined;
}
