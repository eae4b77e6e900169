/**
 * Profile `simplex`: what a message push says (guide H.8), boxed for the phone. Takes the oldest untold entries and
 * told ones as filler, ascending in time, an untold one last: stock clients rely on "the last is the new one".
 */
import { cbEncryptNoPad, PAD_LENGTH_BYTES } from '../../../shared/crypto/box.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { MAX_PAYLOAD_ITEMS } from '../../../shared/ntf/constants.js';
import { encodeServerText, itemSize, type PayloadItem, writeItem } from '../../../shared/ntf/payload.js';
import { NONCE_SIZE } from '../../../shared/relay/batch.js';
import type { ServerAddress, SmpQueue } from '../../../shared/smp/address.js';
import type { Mailbox } from './mailbox.js';
import type { Entry } from './mailbox-pool.js';

/** The JSON made of it is 4,094 bytes (design §4.1); the box is 16 bytes longer: a frame's payload. */
const PADDED_SIZE = 2912;
const MAX_PLAINTEXT = PADDED_SIZE - PAD_LENGTH_BYTES;
const PAD = 0x23; // '#'
const SEPARATOR = 0x3b; // ';'
/** An item without metadata would fail the whole push at the phone, other servers' items with it. */
const NO_METADATA = new Uint8Array(1);

/** A boxed message push; `entries` are those it carries. */
export interface SealedMessage {
  readonly nonce: Uint8Array;
  /** 2,928 bytes. */
  readonly payload: Uint8Array;
  readonly entries: readonly Entry[];
}

interface Item {
  readonly content: PayloadItem;
  readonly server: Uint8Array;
  readonly size: number;
}

/** Where the queue of an entry is, as its client spelt it; the server the same object for all that spell it so. */
export type QueueOf = (ref: number) => SmpQueue;

export class MessageSealer {
  private readonly crypto: Crypto;
  private readonly queueOf: QueueOf;
  /** Few servers, millions of queues. */
  private readonly serverTexts = new WeakMap<ServerAddress, Uint8Array>();
  /** Where the padded plaintext is put together; overwritten after each use. */
  private readonly plaintext = new Uint8Array(PADDED_SIZE);

  constructor(crypto: Crypto, queueOf: QueueOf) {
    this.crypto = crypto;
    this.queueOf = queueOf;
  }

  /**
   * Boxes what the mailbox has to tell. An entry too long to be sent at all is dropped, which sets the overflow
   * flag; undefined when nothing untold is left then.
   */
  seal(dhSecret: Uint8Array, mailbox: Mailbox): SealedMessage | undefined {
    while (mailbox.untold > 0) {
      const { entries, filler } = mailbox.window(MAX_PAYLOAD_ITEMS);
      const items = entries.map((entry) => this.item(entry));
      const [from, to] = fitting(items, filler);
      if (to > filler) {
        return { ...this.box(dhSecret, items.slice(from, to)), entries: entries.slice(from, to) };
      }
      mailbox.dropUnsendable();
    }
    return undefined;
  }

  private item(entry: Entry): Item {
    const { time, nonce } = entry;
    const queue = this.queueOf(entry.ref);
    const metadata = entry.metadata.length === 0 ? NO_METADATA : entry.metadata;
    const content = { queue, time, nonce, metadata };
    const server = this.serverText(queue.server);
    return { content, server, size: itemSize(content, server) };
  }

  private serverText(server: ServerAddress): Uint8Array {
    const known = this.serverTexts.get(server);
    if (known !== undefined) return known;
    const text = encodeServerText(server);
    this.serverTexts.set(server, text);
    return text;
  }

  private box(dhSecret: Uint8Array, items: readonly Item[]): { nonce: Uint8Array; payload: Uint8Array } {
    const { crypto, plaintext } = this;
    writePadded(items, plaintext);
    const nonce = crypto.randomBytes(NONCE_SIZE);
    const payload = cbEncryptNoPad(crypto, dhSecret, nonce, plaintext);
    wipe(plaintext);
    return { nonce, payload };
  }
}

/** The range of items that fits: without the oldest filler, or all of it and the newest items. */
function fitting(items: readonly Item[], filler: number): [from: number, to: number] {
  let from = 0;
  let to = items.length;
  let size = -1;
  for (const item of items) size += item.size + 1;
  while (size > MAX_PLAINTEXT && to > from) {
    size -= (from < filler ? items[from++]! : items[--to]!).size + 1;
  }
  return [from, to];
}

/** Items joined by `;`, padded as in guide D: u16 length in front, '#' behind. */
function writePadded(items: readonly Item[], out: Uint8Array): void {
  let at = PAD_LENGTH_BYTES;
  for (const { content, server } of items) {
    if (at > PAD_LENGTH_BYTES) out[at++] = SEPARATOR;
    at = writeItem(content, server, out, at);
  }
  const length = at - PAD_LENGTH_BYTES;
  out[0] = length >>> 8;
  out[1] = length & 0xff;
  out.fill(PAD, at);
}
