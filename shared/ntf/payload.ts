/**
 * Plaintext of a message push (guide H.8): one to six items, each the latest notification of one queue, ascending
 * in time, the newest last. It names queues, so it is built as bytes that can be overwritten.
 */
import { base64urlLength, fromBase64url, writeBase64url } from '../encoding/base64url.js';
import { type Bytes, latin1 } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { formatQueue, parseQueue, type SmpQueue } from '../smp/address.js';
import { MAX_PAYLOAD_ITEMS } from './constants.js';

export const NONCE_SIZE = 24;

export interface PayloadItem {
  readonly queue: SmpQueue;
  /** Unix seconds at which the notification was received. */
  readonly time: number;
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  /** Encrypted metadata as it came, 144 bytes from today's servers. */
  readonly metadata: Uint8Array;
}

/** `smpQueue SP time SP nonce SP metadata`. */
export function encodeItem(item: PayloadItem): Uint8Array {
  const w = new Writer(512).text(formatQueue(item.queue)).text(` ${item.time} `);
  return w.bytes(base64url(item.nonce)).text(' ').bytes(base64url(item.metadata)).done();
}

/** Items joined by `;` (`,` separates hosts). Throws `RangeError` unless there are 1 to 6. */
export function encodeItems(items: readonly PayloadItem[]): Uint8Array {
  if (items.length < 1 || items.length > MAX_PAYLOAD_ITEMS) throw new RangeError('number of items');
  const w = new Writer(512 * items.length);
  items.forEach((item, i) => {
    if (i > 0) w.text(';');
    const encoded = encodeItem(item);
    w.bytes(encoded);
    encoded.fill(0);
  });
  return w.done();
}

/** The whole plaintext must parse: one bad item fails the push, as in stock clients (guide I.5). Throws `DecodeError`. */
export function decodeItems(plaintext: Bytes): PayloadItem[] {
  const parts = latin1(plaintext).split(';', MAX_PAYLOAD_ITEMS + 1);
  if (parts.length > MAX_PAYLOAD_ITEMS) throw new DecodeError('too many items');
  return parts.map(decodeItem);
}

function decodeItem(text: string): PayloadItem {
  const [queueText, time, nonceText, metadataText, ...rest] = text.split(' ', 5);
  const nonce = fromBase64url(nonceText ?? '');
  const metadata = fromBase64url(metadataText ?? '');
  const complete =
    rest.length === 0 && nonce?.length === NONCE_SIZE && metadata !== undefined && metadata.length > 0;
  if (!complete || !/^\d{1,12}$/.test(time ?? '')) throw new DecodeError('not a notification item');
  return { queue: parseQueue(queueText ?? ''), time: Number(time), nonce, metadata };
}

function base64url(bytes: Bytes): Uint8Array {
  const out = new Uint8Array(base64urlLength(bytes.length));
  writeBase64url(bytes, out);
  return out;
}
