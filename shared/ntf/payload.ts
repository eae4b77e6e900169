/**
 * Plaintext of a message push (guide H.8): one to six items, each the latest notification of one queue, ascending
 * in time, the newest last. It names queues, so it is built as bytes that can be overwritten.
 */
import { base64urlLength, fromBase64url, writeBase64url } from '../encoding/base64url.js';
import { type Bytes, latin1, utf8 } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import { formatServer, parseQueue, type ServerAddress, type SmpQueue } from '../smp/address.js';
import { MAX_PAYLOAD_ITEMS } from './constants.js';

export const NONCE_SIZE = 24;

const SLASH = 0x2f;
const SPACE = 0x20;
/** A slash and three spaces in an item. */
const SEPARATORS = 4;

export interface PayloadItem {
  readonly queue: SmpQueue;
  /** Unix seconds at which the notification was received. */
  readonly time: number;
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  /** Encrypted metadata as it came, 144 bytes from today's servers. */
  readonly metadata: Uint8Array;
}

/** The part of an item that names the server, `smp://…`: the same for all its queues, so callers may keep it. */
export const encodeServerText = (server: ServerAddress): Uint8Array => utf8(formatServer(server));

/** Bytes that `writeItem` takes. */
export function itemSize(item: PayloadItem, server: Bytes): number {
  const { queue, time, nonce, metadata } = item;
  const binary = base64urlLength(queue.notifierId.length) + base64urlLength(nonce.length);
  return server.length + binary + base64urlLength(metadata.length) + String(time).length + SEPARATORS;
}

/**
 * Writes `smpQueue SP time SP nonce SP metadata` at `at`; the place behind it.
 * @param server see `encodeServerText`
 */
export function writeItem(item: PayloadItem, server: Bytes, out: Uint8Array, at = 0): number {
  out.set(server, at);
  at += server.length;
  out[at++] = SLASH;
  at = writeBase64url(item.queue.notifierId, out, at);
  out[at++] = SPACE;
  const time = String(item.time);
  for (let i = 0; i < time.length; i++) out[at++] = time.charCodeAt(i);
  out[at++] = SPACE;
  at = writeBase64url(item.nonce, out, at);
  out[at++] = SPACE;
  return writeBase64url(item.metadata, out, at);
}

/** One item in an array of its own. */
export function encodeItem(item: PayloadItem): Uint8Array {
  const server = encodeServerText(item.queue.server);
  const out = new Uint8Array(itemSize(item, server));
  writeItem(item, server, out);
  return out;
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
