/**
 * What all profiles' bodies have in common: byte templates with two holes, filled in place. The visible text is the
 * operator's and never comes from a frame.
 */
import { base64urlLength } from '../../../shared/encoding/base64url.js';
import { type Bytes, utf8 } from '../../../shared/encoding/bytes.js';
import { NONCE_SIZE, PAYLOAD_SIZE } from '../../../shared/relay/batch.js';

/** Apple's limit for the body of a push (apns.md §4). */
export const MAX_APNS_BODY_SIZE = 4096;

export type BoxedBody = (nonce: Bytes, box: Bytes) => Uint8Array;

/** A profile's bodies; each call makes a new array, which the APNs engine keeps until the push is answered. */
export interface Profile {
  verification(nonce: Bytes, box: Bytes): Uint8Array;
  message(nonce: Bytes, box: Bytes): Uint8Array;
  /** Messages of urgency 0, where the profile sends those in the background. */
  silentMessage?(nonce: Bytes, box: Bytes): Uint8Array;
  /** The same every time: shared, never to be changed. */
  readonly check: Uint8Array;
  readonly alert: Uint8Array;
}

/** Refused at start: an operator's text makes a push larger than Apple takes. */
export class PayloadTooLarge extends Error {
  override readonly name = 'PayloadTooLarge';
  readonly size: number;

  constructor(size: number) {
    super(
      `a push would have ${size} bytes, Apple takes ${MAX_APNS_BODY_SIZE}: shorten visible_text or category`,
    );
    this.size = size;
  }
}

export const BACKGROUND = { 'content-available': 1 };

export const json = (value: object): Uint8Array => utf8(JSON.stringify(value));

/**
 * Node's own base64url takes a fifth of the time of ours. What it makes a string of is a box that only the phone opens,
 * never a token or a key; both sizes are multiples of 3, so there is no padding (guide A.4).
 */
const base64url = ({ buffer, byteOffset, length }: Bytes): string =>
  Buffer.from(buffer, byteOffset, length).toString('base64url');

/** A body with base64url of nonce and box in the object `data`. */
export function boxed(aps: object, data: string, kind: 'verification' | 'message'): BoxedBody {
  const start = utf8(`{"aps":${JSON.stringify(aps)},"${data}":{"nonce":"`);
  const middle = utf8(`","${kind}":"`);
  const end = utf8('"}}');
  const middleAt = start.length + base64urlLength(NONCE_SIZE);
  const boxAt = middleAt + middle.length;
  const endAt = boxAt + base64urlLength(PAYLOAD_SIZE);
  const template = new Uint8Array(endAt + end.length);
  template.set(start);
  template.set(middle, middleAt);
  template.set(end, endAt);
  return (nonce, box) => {
    if (nonce.length !== NONCE_SIZE || box.length !== PAYLOAD_SIZE) throw new RangeError('box size');
    const body = Buffer.allocUnsafeSlow(template.length);
    body.set(template);
    body.write(base64url(nonce), start.length, 'latin1');
    body.write(base64url(box), boxAt, 'latin1');
    return body;
  };
}

/** Renders every body once at full size and returns the profile. Throws `PayloadTooLarge`. */
export function checkSizes(profile: Profile): Profile {
  const nonce = new Uint8Array(NONCE_SIZE);
  const box = new Uint8Array(PAYLOAD_SIZE);
  const bodies = [
    profile.verification(nonce, box),
    profile.message(nonce, box),
    profile.silentMessage?.(nonce, box) ?? profile.check,
    profile.check,
    profile.alert,
  ];
  const largest = Math.max(...bodies.map((body) => body.length));
  if (largest > MAX_APNS_BODY_SIZE) throw new PayloadTooLarge(largest);
  return profile;
}
