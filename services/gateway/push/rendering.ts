/**
 * From a frame and its opened capability to the request for Apple. Verification frames get their code here: the
 * gateway draws it and boxes it under the key that the frame carries, so that the subscriber can't know it.
 */
import { BOX_TAG_LENGTH, pad } from '../../../shared/crypto/box.js';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { wipe } from '../../../shared/encoding/bytes.js';
import { type Frame, type FrameKind, PAYLOAD_SIZE } from '../../../shared/relay/batch.js';
import { decodeVerificationPayload } from '../../../shared/relay/verification.js';
import type { ApnsPush } from '../apns/engine.js';
import type { App } from '../apps.js';
import type { OpenCapability } from '../capabilities/capability.js';

const PADDED_SIZE = PAYLOAD_SIZE - BOX_TAG_LENGTH;
/** HSalsa20 used up the first 16 bytes of the nonce; the box is made under the rest (relay.md §5). */
const NONCE_USED = 16;
/** Apple stores for 30 days at most (apns.md §2). */
const MAX_STORED_SECONDS = 30 * 24 * 3600;

const BACKGROUND: Readonly<Record<FrameKind, boolean>> = {
  verification: true,
  check: true,
  message: false,
  alert: false,
};

/** In profiles that send messages of urgency 0 in the background, urgency says whether anything is shown. */
const isSilent = ({ kind, urgent }: Frame, { profile }: App): boolean =>
  BACKGROUND[kind] || (kind === 'message' && !urgent && profile.silentMessage !== undefined);

/** The kind whose limit a frame counts in: silent messages are background pushes, as checks are. */
export const limitedAs = (frame: Frame, app: App): FrameKind =>
  frame.kind === 'message' && isSilent(frame, app) ? 'check' : frame.kind;

/**
 * The push of a frame. `code` is called for verification frames only; their key `m` is overwritten in the frame.
 * Throws `DecodeError` where a verification frame's payload is something else. `now`: Unix seconds.
 */
export function renderPush(
  crypto: Crypto,
  frame: Frame,
  open: OpenCapability,
  app: App,
  code: () => Uint8Array,
  now: number,
): ApnsPush {
  const background = isSilent(frame, app);
  return {
    environment: open.environment,
    topic: app.topic,
    token: open.token,
    pushType: background ? 'background' : 'alert',
    priority: frame.urgent && !background ? 10 : 5,
    expiration: Math.min(Math.max(frame.expiry, now), now + MAX_STORED_SECONDS),
    ...(frame.slot > 0 && { collapseId: `${frame.kind}-${frame.slot}` }),
    body: body(crypto, frame, app, code),
    provenAt: open.proven ? open.provenAt : 0,
  };
}

function body(crypto: Crypto, frame: Frame, app: App, code: () => Uint8Array): Uint8Array {
  const { profile } = app;
  switch (frame.kind) {
    case 'message':
      return isSilent(frame, app)
        ? profile.silentMessage!(frame.nonce, frame.payload)
        : profile.message(frame.nonce, frame.payload);
    case 'check':
      return profile.check;
    case 'alert':
      return profile.alert;
    case 'verification':
      return profile.verification(frame.nonce, boxCode(crypto, frame, code()));
  }
}

/** The code padded to 2,912 bytes, then Salsa20-Poly1305 under `m`: what NaCl's box would be. */
function boxCode(crypto: Crypto, frame: Frame, code: Uint8Array): Uint8Array {
  const m = decodeVerificationPayload(frame.payload);
  const padded = pad(code, PADDED_SIZE);
  const box = crypto.salsa20Poly1305Seal(m, frame.nonce.subarray(NONCE_USED), padded);
  wipe(padded, code, m);
  return box;
}
