/**
 * Profile `simplex`: what a message push says (guide H.8), boxed for the phone. Takes the oldest untold entries and
 * told ones as filler, ascending in time, an untold one last: stock clients rely on "the last is the new one".
 */
import { cbEncrypt } from '../../../shared/crypto/box.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { MAX_PAYLOAD_ITEMS } from '../../../shared/ntf/constants.js';
import { encodeItem } from '../../../shared/ntf/payload.js';
import { NONCE_SIZE } from '../../../shared/relay/batch.js';
import type { SmpQueue } from '../../../shared/smp/address.js';
import type { Mailbox } from './mailbox.js';
import type { Entry } from './mailbox-pool.js';

/** The JSON made of it is 4,094 bytes (design §4.1); the box is 16 bytes longer: a frame's payload. */
const PADDED_SIZE = 2912;
const MAX_PLAINTEXT = PADDED_SIZE - 2;
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

/** Where the queue of an entry is, as its client spelt it. */
export type QueueOf = (ref: number) => SmpQueue;

/**
 * Boxes what the mailbox has to tell. An entry too long to be sent at all is dropped, which sets the overflow flag;
 * undefined when nothing untold is left then.
 */
export function sealMessage(
  crypto: Crypto,
  dhSecret: Uint8Array,
  mailbox: Mailbox,
  queueOf: QueueOf,
): SealedMessage | undefined {
  while (mailbox.untold > 0) {
    const { entries, filler } = mailbox.window(MAX_PAYLOAD_ITEMS);
    const items = entries.map((entry) => itemOf(entry, queueOf));
    const [from, to] = fitting(items, filler);
    if (to > filler) {
      const plaintext = join(items.slice(from, to));
      const nonce = crypto.randomBytes(NONCE_SIZE);
      const payload = cbEncrypt(crypto, dhSecret, nonce, plaintext, PADDED_SIZE);
      wipe(plaintext, ...items);
      return { nonce, payload, entries: entries.slice(from, to) };
    }
    wipe(...items);
    mailbox.dropUnsendable();
  }
  return undefined;
}

function itemOf({ ref, time, nonce, metadata }: Entry, queueOf: QueueOf): Uint8Array {
  return encodeItem({
    queue: queueOf(ref),
    time,
    nonce,
    metadata: metadata.length === 0 ? NO_METADATA : metadata,
  });
}

/** The range of items that fits: without the oldest filler, or all of it and the newest items. */
function fitting(items: readonly Uint8Array[], filler: number): [from: number, to: number] {
  let from = 0;
  let to = items.length;
  let size = items.reduce((sum, item) => sum + item.length + 1, -1);
  while (size > MAX_PLAINTEXT && to > from) {
    size -= (from < filler ? items[from++]! : items[--to]!).length + 1;
  }
  return [from, to];
}

function join(items: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(items.reduce((sum, item) => sum + item.length + 1, -1));
  let at = 0;
  for (const item of items) {
    if (at > 0) out[at++] = SEPARATOR;
    out.set(item, at);
    at += item.length;
  }
  return out;
}
