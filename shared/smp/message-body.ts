/** What is encrypted for the owner of a queue: metadata of notifications, and bodies of messages (guide G.1, G.2). */
import { cbDecrypt, cbEncrypt } from '../crypto/box.js';
import type { Crypto } from '../crypto/crypto.js';
import { type Bytes, wipe } from '../encoding/bytes.js';
import { DecodeError, decodeAll, Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { maxBodySize, NMSG_META_SIZE } from './constants.js';

export interface NotificationMeta {
  readonly messageId: Bytes;
  /** Unix seconds. */
  readonly timestamp: number;
}

/** The 144 bytes that NMSG carries. @param secret raw X25519 secret of recipient and server */
export function sealMeta(crypto: Crypto, secret: Bytes, nonce: Bytes, meta: NotificationMeta): Uint8Array {
  const plain = new Writer(64).shortString(meta.messageId).i64(meta.timestamp).done();
  return cbEncrypt(crypto, secret, nonce, plain, NMSG_META_SIZE);
}

/** Throws `DecodeError` where the box or what it holds is wrong. Bytes behind the timestamp are ignored. */
export function openMeta(crypto: Crypto, secret: Bytes, nonce: Bytes, box: Bytes): NotificationMeta {
  const r = new Reader(opened(cbDecrypt(crypto, secret, nonce, box)));
  return { messageId: r.shortString(), timestamp: r.i64() };
}

/** A message as its recipient gets it, or the mark that the queue was full. */
export type MessageBody =
  | { readonly kind: 'message'; readonly timestamp: number; readonly notify: boolean; readonly body: Bytes }
  | { readonly kind: 'quota'; readonly timestamp: number };

/** Bytes of timestamp, flags and space before a body. */
const BODY_HEAD = 16;
const PAD_LENGTH = 2;

/** The body of MSG; all of one version are equally long. The nonce is the message's id. */
export function sealBody(
  crypto: Crypto,
  secret: Bytes,
  messageId: Bytes,
  message: MessageBody,
  version: number,
): Uint8Array {
  const w = new Writer(512);
  if (message.kind === 'quota') w.text('QUOTA ').i64(message.timestamp);
  else w.i64(message.timestamp).bool(message.notify).text(' ').bytes(message.body);
  const plain = w.done();
  const box = cbEncrypt(crypto, secret, messageId, plain, maxBodySize(version) + BODY_HEAD + PAD_LENGTH);
  wipe(plain);
  return box;
}

/** Throws `DecodeError`. */
export function openBody(crypto: Crypto, secret: Bytes, messageId: Bytes, box: Bytes): MessageBody {
  return decodeAll(opened(cbDecrypt(crypto, secret, messageId, box)), (r) => {
    if (r.accept('QUOTA ')) return { kind: 'quota', timestamp: r.i64() };
    const timestamp = r.i64();
    const notify = r.bool();
    while (!r.accept(' ')) r.u8();
    return { kind: 'message', timestamp, notify, body: r.tail() };
  });
}

function opened(plain: Uint8Array | undefined): Uint8Array {
  if (plain === undefined) throw new DecodeError('forged box');
  return plain;
}
